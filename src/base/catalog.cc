#include "base/catalog.h"

namespace lodestone {

std::string_view CatalogFile::stem() const {
  const size_t slash = path.rfind('/');
  std::string_view name = slash == std::string_view::npos ? path : path.substr(slash + 1);
  return name.substr(0, name.rfind('.'));
}

std::vector<CatalogFile> CatalogFilesIn(std::string_view folder) {
  std::vector<CatalogFile> files;
  for (const CatalogFile& file : CatalogFiles()) {
    if (file.path.size() > folder.size() && file.path.starts_with(folder) && file.path[folder.size()] == '/') {
      files.push_back(file);
    }
  }
  return files;
}

}  // namespace lodestone
