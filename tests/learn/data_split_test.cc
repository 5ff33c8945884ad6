#include "learn/data_split.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>

#include "base/file.h"

namespace lodestone::testing {
namespace {

namespace fs = std::filesystem;

// A folder of ten small files, 0.py to 9.py.
class DataSplitTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("lodestone-split-" + std::to_string(getpid()));
    fs::create_directories(folder_);
    for (int i = 0; i < 10; ++i) {
      ASSERT_TRUE(WriteFileAtomically(folder_ / (std::to_string(i) + ".py"), std::string(100, 'a')).ok());
    }
    data_.train = {folder_};
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path folder_;
  TrainConfig::Data data_;
};

TEST_F(DataSplitTest, NothingIsHeldOutUnasked) {
  const auto split = SplitData(data_);
  ASSERT_TRUE(split.ok()) << split.error().message;
  EXPECT_EQ(split->train.size(), 10u);
  EXPECT_TRUE(split->validation.empty());
}

TEST_F(DataSplitTest, AFractionIsTheSameFilesEveryTime) {
  data_.validation_fraction = 0.3;
  const auto split = SplitData(data_), again = SplitData(data_);
  ASSERT_TRUE(split.ok()) << split.error().message;
  EXPECT_EQ(split->validation.size(), 3u);
  EXPECT_EQ(split->train.size(), 7u);
  EXPECT_EQ(split->validation, again->validation);
  for (const fs::path& file : split->validation) {
    EXPECT_EQ(std::find(split->train.begin(), split->train.end(), file), split->train.end());
  }
}

TEST_F(DataSplitTest, AFileOfBothIsForValidationAloneByWhateverName) {
  fs::create_symlink(folder_ / "7.py", folder_ / "seven.txt");
  data_.suffix = ".py";
  data_.validation = {folder_ / "." / "3.py", folder_ / "seven.txt"};
  const auto split = SplitData(data_);
  ASSERT_TRUE(split.ok()) << split.error().message;
  EXPECT_EQ(split->validation.size(), 2u);
  EXPECT_EQ(split->train.size(), 8u);
  EXPECT_EQ(std::count(split->train.begin(), split->train.end(), folder_ / "3.py"), 0);
  EXPECT_EQ(std::count(split->train.begin(), split->train.end(), folder_ / "7.py"), 0);
}

TEST_F(DataSplitTest, NothingLeftToTrainOnIsRefused) {
  data_.validation = {folder_};
  const auto split = SplitData(data_);
  ASSERT_FALSE(split.ok());
  EXPECT_NE(split.error().message.find("'validation' too"), std::string::npos) << split.error().message;
  data_.validation = {folder_ / "none"};
  EXPECT_FALSE(SplitData(data_).ok());
}

}  // namespace
}  // namespace lodestone::testing
