// The files of catalog/, embedded in the program when it is built: models, hardware, published rows.
#pragma once

#include <span>
#include <string_view>
#include <vector>

namespace lodestone {

struct CatalogFile {
  std::string_view path;      // below catalog/, with forward slashes: "models/gpt2.toml"
  std::string_view contents;  // the bytes of the file

  // "gpt2": the name by which users call what the file describes.
  std::string_view stem() const;
};

// All files catalog/<folder>/*.toml and *.csv, sorted by path.
std::span<const CatalogFile> CatalogFiles();
// Those of catalog/<folder>/, such as "models"; empty for a folder that does not exist.
std::vector<CatalogFile> CatalogFilesIn(std::string_view folder);

}  // namespace lodestone
