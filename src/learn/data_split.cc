#include "learn/data_split.h"

#include <algorithm>
#include <system_error>

#include "learn/training_data.h"

namespace lodestone {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kHoldOutSeed = 0;  // the same for every run over the same data

fs::path Real(const fs::path& path) {
  std::error_code error;
  const fs::path real = fs::canonical(path, error);
  return error ? path : real;
}

}  // namespace

void TakeOut(const std::vector<fs::path>& held_out, std::vector<fs::path>& files) {
  std::vector<fs::path> out;
  for (const fs::path& path : held_out) out.push_back(Real(path));
  std::sort(out.begin(), out.end());
  std::erase_if(files, [&out](const fs::path& path) { return std::binary_search(out.begin(), out.end(), Real(path)); });
}

Result<DataSplit> SplitData(const TrainConfig::Data& data) {
  DataSplit split;
  LODESTONE_ASSIGN_OR_RETURN(split.train, DataFiles(data.train, data.suffix, data.exclude));
  if (!data.validation.empty()) {
    LODESTONE_ASSIGN_OR_RETURN(split.validation, DataFiles(data.validation, data.suffix, data.exclude));
    TakeOut(split.validation, split.train);
    if (split.train.empty()) return Invalid("data: every file of 'train' is a file of 'validation' too");
  } else if (data.validation_fraction > 0 && split.train.size() > 1) {
    LODESTONE_ASSIGN_OR_RETURN(split.validation, HoldOutFiles(split.train, data.validation_fraction, kHoldOutSeed));
  }
  return split;
}

}  // namespace lodestone
