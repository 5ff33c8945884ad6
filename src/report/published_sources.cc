#include "report/published_sources.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/catalog.h"
#include "base/quote.h"
#include "report/published.h"

namespace lodestone {
namespace {

constexpr std::string_view kKind = "sources";

Result<PublishedSource> ReadSource(const Json& entry, const std::string& file, const std::string& path) {
  ObjectReader reader(entry, file, path);
  PublishedSource source;
  source.key = reader.RequireString("key");
  source.title = reader.RequireString("title");
  source.address = reader.RequireString("address");
  source.licence = reader.RequireString("licence");
  source.note = reader.OptionalString("note", "");
  LODESTONE_RETURN_IF_ERROR(reader.Finish());
  return source;
}

Result<PublishedUnknown> ReadUnknown(const Json& entry, const std::string& file, const std::string& path) {
  ObjectReader reader(entry, file, path);
  PublishedUnknown unknown{.model = reader.RequireString("model"), .what = reader.RequireString("what")};
  LODESTONE_RETURN_IF_ERROR(reader.Finish());
  return unknown;
}

// Reads each table of the array `key`, which may be absent.
template <typename T, typename Read>
Status ReadTables(ObjectReader& reader, const char* key, const Read& read, std::vector<T>& all) {
  const Json* json = reader.Optional(key);
  if (json == nullptr) return {};
  const Json::Array* tables = json->as_array();
  if (tables == nullptr) {
    reader.Fail(key, fmt::format("found {}, expected tables [[{}]]", json->TypeName(), key));
    return reader.status();
  }
  for (size_t i = 0; i < tables->size(); ++i) {
    LODESTONE_ASSIGN_OR_RETURN(T one, read((*tables)[i], reader.file(), fmt::format("{}[{}]", key, i)));
    all.push_back(std::move(one));
  }
  return {};
}

Result<PublishedSourcesFile> ReadCatalogFile() {
  for (const CatalogFile& file : CatalogFilesIn("published")) {
    if (file.path != "published/sources.toml") continue;
    const std::string name = fmt::format("catalog/{}", file.path);
    LODESTONE_ASSIGN_OR_RETURN(const Json toml, ParseToml(file.contents, name));
    return ParsePublishedSources(toml, name);
  }
  return PublishedSourcesFile();
}

}  // namespace

Result<PublishedSourcesFile> ParsePublishedSources(const Json& toml, const std::string& file) {
  ObjectReader reader(toml, file);
  const std::string kind = reader.RequireString("kind");
  if (kind != kKind) reader.Fail("kind", fmt::format("found {}, expected '{}'", Quoted(kind), kKind));
  PublishedSourcesFile all;
  LODESTONE_RETURN_IF_ERROR(ReadTables(reader, "source", ReadSource, all.sources));
  LODESTONE_RETURN_IF_ERROR(ReadTables(reader, "unavailable", ReadUnknown, all.unavailable));
  for (size_t i = 0; i < all.sources.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (all.sources[i].key != all.sources[j].key) continue;
      reader.Fail("source", fmt::format("key {} is given twice", Quoted(all.sources[i].key)));
    }
  }
  LODESTONE_RETURN_IF_ERROR(reader.Finish());
  return all;
}

Result<std::vector<PublishedSource>> CatalogPublishedSources() {
  LODESTONE_ASSIGN_OR_RETURN(PublishedSourcesFile file, ReadCatalogFile());
  LODESTONE_ASSIGN_OR_RETURN(const std::vector<PublishedRun> runs, CatalogPublishedRuns());
  for (const PublishedRun& run : runs) {
    file.sources.push_back({.key = run.name, .title = run.source, .address = "", .licence = "", .note = ""});
  }
  return std::move(file.sources);
}

Result<std::vector<PublishedUnknown>> CatalogPublishedUnknowns() {
  LODESTONE_ASSIGN_OR_RETURN(PublishedSourcesFile file, ReadCatalogFile());
  return std::move(file.unavailable);
}

}  // namespace lodestone
