// Where published rows come from, and what was looked for in those documents and not found:
// catalog/published/sources.toml.
//
//   kind = "sources"
//
//   [[source]]
//   key = "genslm-scaling"         title = "…"      address = "https://…"     licence = "MIT, © …"
//   note = "commit a9c60be"        # may be left out
//
//   [[unavailable]]
//   model = "gpt2-xl"              what = "throughput of a device"
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"

namespace lodestone {

struct PublishedSource {
  std::string key, title, address, licence;
  std::string note;  // empty where there is nothing to say
};

// Looked for in the sources and not found.
struct PublishedUnknown {
  std::string model, what;
};

struct PublishedSourcesFile {
  std::vector<PublishedSource> sources;
  std::vector<PublishedUnknown> unavailable;
};

// Refused with file and line: unknown keys, missing ones, a source given twice.
Result<PublishedSourcesFile> ParsePublishedSources(const Json& toml, const std::string& file);

// Those of the catalogue; every published run is a source of its own, by its name.
Result<std::vector<PublishedSource>> CatalogPublishedSources();
Result<std::vector<PublishedUnknown>> CatalogPublishedUnknowns();

}  // namespace lodestone
