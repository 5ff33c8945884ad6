// Replays the corpora of this folder's fuzz targets: what was found once stays found, without libFuzzer.
#include <gtest/gtest.h>

#include "base/file.h"
#include "fixtures.h"
#include "lab/arrivals.h"
#include "lab/study/plan.h"
#include "lab/sweep.h"

extern "C" int FuzzArrivals(const uint8_t* data, size_t size);
extern "C" int FuzzStudy(const uint8_t* data, size_t size);
extern "C" int FuzzSweep(const uint8_t* data, size_t size);

namespace lodestone {
namespace {

const std::filesystem::path kCorpora = std::filesystem::path(LODESTONE_SOURCE_DIR) / "tests/fuzz/corpus";

int Replay(const char* corpus, int (*target)(const uint8_t*, size_t)) {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kCorpora / corpus)) {
    SCOPED_TRACE(entry.path().string());
    const Result<std::string> text = ReadFile(entry.path(), 1 << 20);
    EXPECT_TRUE(text.ok()) << entry.path();
    EXPECT_EQ(target(reinterpret_cast<const uint8_t*>(text->data()), text->size()), 0);
    ++files;
  }
  return files;
}

TEST(LabFuzzCorpus, EveryFileIsReadOrRefused) {
  EXPECT_GE(Replay("arrivals", FuzzArrivals), 9);
  EXPECT_GE(Replay("study", FuzzStudy), 7);
  EXPECT_GE(Replay("sweep", FuzzSweep), 6);
}

TEST(LabFuzzCorpus, SeedsReachBothEnds) {
  for (const char* good : {"plain.csv", "turned.csv", "lines.jsonl"}) {
    EXPECT_TRUE(ReadArrivals((kCorpora / "arrivals" / good).string()).ok()) << good;
  }
  for (const char* bad : {"nan.csv", "backwards.csv", "huge.csv", "short_header.csv", "stranger.jsonl", "cut.jsonl"}) {
    EXPECT_FALSE(ReadArrivals((kCorpora / "arrivals" / bad).string()).ok()) << bad;
  }
  const auto study = [](const char* name, StudyKind kind) -> Status {
    LODESTONE_ASSIGN_OR_RETURN(const StudyPlan plan, LoadStudyPlan((kCorpora / "study" / name).string(), kind));
    return CasesOf(plan).status();
  };
  EXPECT_TRUE(study("sequence.toml", StudyKind::kGpt2).ok());
  EXPECT_TRUE(study("ranks.toml", StudyKind::kGpt2).ok());
  EXPECT_TRUE(study("sparsity.toml", StudyKind::kBlock).ok());
  EXPECT_FALSE(study("zero.toml", StudyKind::kGpt2).ok());
  EXPECT_FALSE(study("huge.toml", StudyKind::kGenslm).ok());
  EXPECT_FALSE(study("no_such_sweep.toml", StudyKind::kBlock).ok());
  EXPECT_FALSE(study("width.toml", StudyKind::kBlock).ok());
  for (const char* good : {"figures.toml", "curve.toml"}) {
    EXPECT_TRUE(LoadSweep((kCorpora / "sweep" / good).string()).ok()) << good;
  }
  for (const char* bad : {"too_many.toml", "range.toml", "empty_axis.toml", "contradiction.toml"}) {
    EXPECT_FALSE(LoadSweep((kCorpora / "sweep" / bad).string()).ok()) << bad;
  }
}

}  // namespace
}  // namespace lodestone
