// Which files a training file's [data] trains on and which it holds out: for training, and for whatever is compared
// with it on the same text.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "base/status.h"
#include "learn/train_config.h"

namespace lodestone {

struct DataSplit {
  std::vector<std::filesystem::path> train, validation;  // validation may be empty
};

// `validation` of the file where it names something, else `validation_fraction` of the files where there are several:
// the same ones for every run over the same files. A file of both is for validation alone, by whatever path it is
// named. Refused: what DataFiles refuses, and data of which nothing is left to train on.
Result<DataSplit> SplitData(const TrainConfig::Data& data);

// Takes the files of `held_out` out of `files`.
void TakeOut(const std::vector<std::filesystem::path>& held_out, std::vector<std::filesystem::path>& files);

}  // namespace lodestone
