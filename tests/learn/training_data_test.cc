#include "learn/training_data.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "base/temporary_folder.h"
#include "model/open_model.h"

namespace lodestone::testing {
namespace {

namespace fs = std::filesystem;

constexpr int kVocab = 300;

std::shared_ptr<const Tokenizer> Bytes() { return *MakeByteTokenizer(kVocab); }

std::vector<int32_t> All(const TokenData& data) {
  std::vector<int32_t> ids(static_cast<size_t>(data.size()));
  data.Read(0, ids);
  return ids;
}

std::vector<int32_t> Counting(int64_t count, int32_t vocab = 1 << 30) {
  std::vector<int32_t> ids(static_cast<size_t>(count));
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(i % static_cast<size_t>(vocab));
  return ids;
}

template <typename T>
std::string MessageOf(const Result<T>& result) {
  return result.ok() ? "ok" : result.error().message;
}

TEST(TrainingData, TextIsEncodedAsAPromptIsAndEndsWithTheEnd) {
  const TemporaryFolder folder;
  const fs::path paths[] = {folder.Write("a.txt", "Hi"), folder.Write("b.txt", "é")};
  const auto data = TokensOfText(paths, "", *Bytes(), kVocab);
  ASSERT_TRUE(data.ok()) << data.error().message;
  EXPECT_EQ(All(**data), (std::vector<int32_t>{256, 'H', 'i', 257, 256, 0xC3, 0xA9, 257}));
  EXPECT_EQ((*data)->source_bytes(), 4);
  EXPECT_EQ((*data)->Describe(), "2 files, 4 bytes, 8 tokens");
}

TEST(TrainingData, ADirectoryStandsForItsFilesInOrder) {
  const TemporaryFolder folder;
  fs::create_directories(folder.path() / "deep");
  folder.Write("z.py", "z");
  folder.Write("deep/a.py", "a");
  folder.Write("deep/empty.py", "");
  folder.Write("a.txt", "other");
  const fs::path paths[] = {folder.path()};
  const auto files = DataFiles(paths, ".py", {});
  ASSERT_TRUE(files.ok());
  ASSERT_EQ(files->size(), 2u);
  EXPECT_EQ((*files)[0].filename(), "a.py");
  EXPECT_EQ((*files)[1].filename(), "z.py");
  const std::string excluded[] = {"deep/"};
  EXPECT_EQ(DataFiles(paths, ".py", excluded)->size(), 1u);
  EXPECT_NE(MessageOf(DataFiles(paths, ".c", {})).find("whose name ends in '.c'"), std::string::npos);
  const std::string all[] = {"/"};
  EXPECT_EQ(MessageOf(DataFiles(paths, "", all)), "every file of the data is excluded");
}

TEST(TrainingData, FilesThatAreNoTextAreRefusedByName) {
  const TemporaryFolder folder;
  const auto refuse = [&](const fs::path& path) {
    const fs::path paths[] = {path};
    const std::string message = MessageOf(TokensOfText(paths, "", *Bytes(), kVocab));
    EXPECT_NE(message.find(path.filename().string()), std::string::npos) << message;
    return message;
  };
  EXPECT_NE(refuse(folder.Write("nul", std::string_view("ab\0c", 4))).find("NUL at byte 2"), std::string::npos);
  EXPECT_NE(refuse(folder.Write("latin1", "caf\xe9 x")).find("exclude"), std::string::npos);
  EXPECT_NE(refuse(folder.Write("none", "")).find("is empty"), std::string::npos);
  EXPECT_NE(refuse(folder.path() / "absent").find("does not exist"), std::string::npos);
}

TEST(TrainingData, AnIdBeyondTheModelsVocabularyIsRefused) {
  const TemporaryFolder folder;
  const fs::path paths[] = {folder.Write("a.txt", "a")};
  EXPECT_NE(MessageOf(TokensOfText(paths, "", *Bytes(), 100)).find("vocabulary has 100 ids"), std::string::npos);
}

TEST(TrainingData, HeldOutFilesAreAboutTheFractionAndAlwaysTheSame) {
  const TemporaryFolder folder;
  std::vector<fs::path> files;
  for (int i = 0; i < 40; ++i) files.push_back(folder.Write(std::to_string(i), std::string(100, 'x')));
  std::vector<fs::path> kept = files, again = files, other = files;
  const auto held = HoldOutFiles(kept, 0.2, 1);
  ASSERT_TRUE(held.ok());
  EXPECT_EQ(held->size(), 8u);
  EXPECT_EQ(kept.size(), 32u);
  EXPECT_EQ(*HoldOutFiles(again, 0.2, 1), *held);
  EXPECT_NE(*HoldOutFiles(other, 0.2, 2), *held);
  for (const fs::path& file : *held) EXPECT_EQ(std::count(kept.begin(), kept.end(), file), 0);
  std::vector<fs::path> two(files.begin(), files.begin() + 2), one(files.begin(), files.begin() + 1);
  EXPECT_EQ(HoldOutFiles(two, 0.9, 1)->size(), 1u);
  EXPECT_FALSE(HoldOutFiles(one, 0.5, 1).ok());
}

TEST(TrainingData, ARowIsCutBehindADocument) {
  std::vector<int32_t> ids = Counting(1000, 1000);
  for (int& id : ids) id = id == 880 ? 7777 : id;
  const std::shared_ptr<const TokenData> data = HeldTokens(ids, 0, "ids");
  const SplitTokens split = SplitRow(data, 0.1, 7777);
  EXPECT_EQ(split.train->size(), 881);
  EXPECT_EQ(split.validation->size(), 119);
  EXPECT_EQ(All(*split.validation)[0], 881);
  EXPECT_EQ(SplitRow(data, 0.1, std::nullopt).train->size(), 900);
  EXPECT_EQ(SplitRow(data, 0.1, 5).train->size(), 900);  // no end near the place
}

TEST(TrainingData, JoinedRowsAreReadAcrossTheirEnds) {
  std::vector<std::unique_ptr<TokenData>> parts;
  parts.push_back(HeldTokens({1, 2, 3}, 3, "a"));
  parts.push_back(HeldTokens({4}, 1, "b"));
  parts.push_back(HeldTokens({5, 6}, 2, "c"));
  const std::unique_ptr<TokenData> row = Joined(std::move(parts));
  EXPECT_EQ(row->size(), 6);
  EXPECT_EQ(row->source_bytes(), 6);
  EXPECT_EQ(All(*row), (std::vector<int32_t>{1, 2, 3, 4, 5, 6}));
  std::vector<int32_t> middle(4);
  row->Read(2, middle);
  EXPECT_EQ(middle, (std::vector<int32_t>{3, 4, 5, 6}));
}

TEST(TrainingData, TheFingerprintSeesLengthAndContents) {
  const auto hash = [](std::vector<int32_t> ids) { return Fingerprint(*HeldTokens(std::move(ids), 0, "")); };
  EXPECT_EQ(hash(Counting(10000)), hash(Counting(10000)));
  EXPECT_NE(hash(Counting(10000)), hash(Counting(10001)));
  std::vector<int32_t> changed = Counting(3000);
  changed[1234] = 0;
  EXPECT_NE(hash(changed), hash(Counting(3000)));
}

TEST(TokenFile, ReadsBackWhatWasWrittenInEitherWidth) {
  const TemporaryFolder folder;
  for (const int64_t vocab : {int64_t{65536}, int64_t{65537}}) {
    const fs::path path = folder.path() / "data.tokens";
    std::vector<int32_t> ids = Counting(200'000, 60'000);
    const auto data = HeldTokens(ids, 123'456, "ids");
    ASSERT_TRUE(WriteTokenFile(path, *data, vocab).ok());
    EXPECT_EQ(fs::file_size(path), 64 + ids.size() * (vocab == 65536 ? 2 : 4));
    const auto opened = OpenTokenFile(path, vocab + 1);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    EXPECT_EQ(All(**opened), ids);
    EXPECT_EQ((*opened)->source_bytes(), 123'456);
    EXPECT_NE(MessageOf(OpenTokenFile(path, vocab - 1)).find("vocabulary of"), std::string::npos);
  }
  EXPECT_EQ(folder.FileCount(), 1u);
}

TEST(TokenFile, OtherFilesAreRefusedByName) {
  const TemporaryFolder folder;
  const fs::path text = folder.Write("a.txt", std::string(100, 'a'));
  EXPECT_NE(MessageOf(OpenTokenFile(text, 100)).find("a.txt: this is no token file"), std::string::npos);
  ASSERT_TRUE(WriteTokenFile(folder.path() / "b", *HeldTokens(Counting(9), 0, ""), 100).ok());
  std::string bytes = folder.Read("b");
  bytes.pop_back();
  EXPECT_NE(MessageOf(OpenTokenFile(folder.Write("cut", bytes), 100)).find("cut short"), std::string::npos);
  EXPECT_FALSE(OpenTokenFile(folder.path() / "absent", 100).ok());
  EXPECT_FALSE(WriteTokenFile(folder.path() / "no/such/folder", *HeldTokens({1}, 0, ""), 100).ok());
}

TEST(BatchOrder, TargetsAreTheNextTokens) {
  const auto data = HeldTokens(Counting(101), 0, "");
  const auto order = BatchOrder::Make(*data, 10, 1);
  ASSERT_TRUE(order.ok());
  EXPECT_EQ(order->windows(), 10);
  std::vector<int32_t> tokens(10), targets(10);
  for (int64_t i = 0; i < 30; ++i) {
    order->Read(i, tokens, targets);
    EXPECT_EQ(tokens[0], 10 * order->WindowOf(i));
    for (size_t j = 0; j < 10; ++j) EXPECT_EQ(targets[j], tokens[j] + 1);
  }
}

TEST(BatchOrder, TooLittleDataIsRefusedWithBothNumbers) {
  const auto data = HeldTokens(Counting(64), 0, "64 tokens");
  const auto order = BatchOrder::Make(*data, 64, 1);
  ASSERT_FALSE(order.ok());
  EXPECT_NE(order.error().message.find("64 tokens"), std::string::npos);
  EXPECT_NE(order.error().message.find("need 65"), std::string::npos);
  EXPECT_TRUE(BatchOrder::Make(*data, 63, 1).ok());
}

TEST(BatchOrderProperty, EveryEpochHasEveryWindowOnceInAnOrderOfItsOwn) {
  for (const int64_t windows : {1, 2, 3, 7, 16, 17, 100, 1000}) {
    const auto data = HeldTokens(Counting(windows + 1), 0, "");
    for (const uint64_t seed : {0, 1, 99}) {
      const auto order = BatchOrder::Make(*data, 1, seed);
      ASSERT_TRUE(order.ok());
      ASSERT_EQ(order->windows(), windows);
      std::vector<std::vector<int64_t>> epochs;
      for (int64_t epoch = 0; epoch < 3; ++epoch) {
        std::vector<int64_t> seen;
        for (int64_t i = 0; i < windows; ++i) seen.push_back(order->WindowOf(epoch * windows + i));
        epochs.push_back(seen);
        std::sort(seen.begin(), seen.end());
        for (int64_t i = 0; i < windows; ++i) ASSERT_EQ(seen[static_cast<size_t>(i)], i) << windows << " " << epoch;
      }
      if (windows < 16) continue;
      EXPECT_NE(epochs[0], epochs[1]);
      EXPECT_NE(epochs[1], epochs[2]);
      std::vector<int64_t> plain(static_cast<size_t>(windows));
      std::iota(plain.begin(), plain.end(), 0);
      EXPECT_NE(epochs[0], plain);
    }
  }
}

TEST(BatchOrderProperty, PlacesAreSpreadEvenly) {
  // Where the first window comes, over many seeds: χ² of 16 bins with 15 degrees of freedom stays below 50, which a
  // fair shuffle exceeds once in 10⁵ times.
  constexpr int64_t kWindows = 160;
  constexpr int kSeeds = 4000, kBins = 16;
  const auto data = HeldTokens(Counting(kWindows + 1), 0, "");
  std::vector<double> bins(kBins);
  for (int seed = 0; seed < kSeeds; ++seed) {
    const auto order = BatchOrder::Make(*data, 1, static_cast<uint64_t>(seed));
    bins[static_cast<size_t>(order->WindowOf(0) * kBins / kWindows)] += 1;
  }
  double chi = 0;
  for (const double count : bins) chi += (count - kSeeds / kBins) * (count - kSeeds / kBins) / (kSeeds / kBins);
  EXPECT_LT(chi, 50);
}

}  // namespace
}  // namespace lodestone::testing
