#include "model/packed_checkpoint.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>

#include "base/temporary_folder.h"
#include "model/checkpoint_fixture.h"
#include "model/safetensors.h"
#include "model/safetensors_builder.h"
#include "test_models.h"

namespace lodestone {
namespace {

using testing::ExpectParts;
using testing::TemporaryFolder;
using testing::TinyGranite;
using testing::TinyLlama;

constexpr Format kBf16 = {Code::kBf16}, kInt8 = {Code::kInt8, Scales::kChannel};
constexpr Format kInt4 = {Code::kInt4, Scales::kChannel}, kGroups = {Code::kInt4, Scales::kGroup, 32};

// Tables in bf16, every other matrix in `format`; of a tied table int8 too. Steps of layer 0's queries.
StoredTensors TensorsIn(const ModelConfig& config, const Format& format) {
  StoredTensors tensors;
  for (const WeightId& id : AllWeights(config)) {
    const WeightShape shape = ShapeOf(config, id);
    const int n = static_cast<int>(shape.rows), k = static_cast<int>(shape.columns);
    if (shape.rows == 1) {
      tensors.vectors.push_back(id);
    } else if (id.kind == WeightKind::kEmbedding || id.kind == WeightKind::kPositions) {
      tensors.matrices.push_back({id, {kBf16, n, k}});
      if (config.tied_embeddings && id.kind == WeightKind::kEmbedding) tensors.matrices.push_back({id, {kInt8, n, k}});
    } else {
      tensors.matrices.push_back({id, {format, n, k}});
    }
  }
  tensors.vectors.push_back({WeightKind::kQueryStep, 0});
  return tensors;
}

PackedMatrix PackFrom(const WeightSource& source, const WeightId& id, const PackedShape& shape) {
  auto packed = AllocatePacked(shape);
  EXPECT_TRUE(packed.ok());
  EXPECT_TRUE(source.ReadPanels(id, 0, 0, packed->panels(), *packed).ok());
  return *std::move(packed);
}

// A random model written in `format`.
class PackedFolder {
 public:
  PackedFolder(const ModelConfig& config, const Format& format) : config_(config), weights_(RandomWeights(config, 3)) {
    const StoredTensors tensors = TensorsIn(config, format);
    auto writer = PackedWriter::Create(folder_.path(), config, tensors);
    EXPECT_TRUE(writer.ok());
    for (const auto& [id, shape] : tensors.matrices) {
      EXPECT_TRUE(writer->Write(id, PackFrom(*weights_, id, shape)).ok());
    }
    for (const WeightId& id : tensors.vectors) {
      std::vector<float> vector(static_cast<size_t>(ShapeOf(config, id).columns), 0.25f);
      if (!IsStep(id.kind)) EXPECT_TRUE(weights_->ReadRow(id, 0, vector).ok());
      EXPECT_TRUE(writer->Write(id, vector).ok());
    }
    EXPECT_TRUE(writer->Finish().ok());
    EXPECT_EQ(static_cast<int64_t>(Bytes().size()), writer->file_bytes());
  }

  Result<std::unique_ptr<WeightSource>> Open() const { return Open(config_); }
  Result<std::unique_ptr<WeightSource>> Open(const ModelConfig& config) const {
    return OpenPackedCheckpoint(folder_.path().string(), config);
  }
  std::string ErrorOf(const ModelConfig& config) const {
    const auto source = Open(config);
    return source.ok() ? "accepted" : source.error().message;
  }
  std::string Bytes() const { return folder_.Read(kPackedFile); }
  void Replace(const std::string& bytes) const { folder_.Write(kPackedFile, bytes); }
  const WeightSource& original() const { return *weights_; }

 private:
  TemporaryFolder folder_;
  ModelConfig config_;
  std::unique_ptr<WeightSource> weights_;
};

bool Same(const AlignedBuffer& a, const AlignedBuffer& b) {
  return a.size() == b.size() && (a.size() == 0 || std::memcmp(a.data(), b.data(), a.size()) == 0);
}
void ExpectSame(const PackedMatrix& a, const PackedMatrix& b) {
  EXPECT_TRUE(Same(a.codes, b.codes));
  EXPECT_TRUE(Same(a.scales, b.scales));
  EXPECT_TRUE(Same(a.multipliers, b.multipliers));
}

TEST(PackedCheckpoint, MatricesOfItsFormatsAreTheBytesThatPackingTheOriginalMakes) {
  for (const ModelConfig& config : {TinyLlama(), TinyGranite(), testing::TinyGpt2()}) {
    for (const Format& format : {kInt4, kGroups, kInt8, kBf16, Format{Code::kF32}}) {
      const PackedFolder folder(config, format);
      const auto source = folder.Open();
      ASSERT_TRUE(source.ok()) << source.error().message;
      for (const auto& [id, shape] : TensorsIn(config, format).matrices) {
        SCOPED_TRACE(ToString(id) + " " + ToString(shape.format));
        ExpectSame(PackFrom(**source, id, shape), PackFrom(folder.original(), id, shape));
      }
      for (const WeightId& id : TensorsIn(config, format).vectors) {
        if (IsStep(id.kind)) continue;
        const auto columns = static_cast<size_t>(ShapeOf(config, id).columns);
        EXPECT_EQ(testing::Row(**source, id, 0, columns), testing::Row(folder.original(), id, 0, columns));
      }
      EXPECT_EQ(testing::Row(**source, {WeightKind::kQueryStep, 0}, 0, 1), std::vector<float>{0.25f});
    }
  }
}

// Shards begin and end anywhere: what copies do not serve is assembled from codes.
TEST(PackedCheckpointProperty, AnyRowsInAnyPanelsAreThoseOfTheWhole) {
  for (const Format& format : {kInt4, kGroups, kInt8, kBf16}) {
    const PackedFolder folder(TinyLlama(), format);
    const auto source = folder.Open();
    ASSERT_TRUE(source.ok());
    const WeightId id = {WeightKind::kUp, 1};
    const PackedMatrix whole = PackFrom(**source, id, {format, 80, 48});
    for (const auto& [first, rows] : {std::pair{0, 80}, {0, 16}, {16, 24}, {48, 32}, {40, 40}, {3, 5}, {79, 1}}) {
      auto part = AllocatePacked({format, rows, 48});
      ASSERT_TRUE(part.ok());
      for (int panel = 0; panel < part->panels(); ++panel) {
        ASSERT_TRUE((*source)->ReadPanels(id, first, panel, panel + 1, *part).ok());
      }
      const auto expected = Pack(format, rows, 48, [](int, std::span<float> row) {
        std::fill(row.begin(), row.end(), 0.0f);
        return Status();
      });
      for (int o = 0; o < rows; ++o) {
        for (int i = 0; i < 48; ++i) {
          ASSERT_EQ(UnpackedValue(*part, o, i), UnpackedValue(whole, first + o, i)) << first << " " << rows;
        }
      }
      // Rows that only pad are zero, whatever row of the whole lies there.
      for (int o = rows; o < part->panels() * kPanel && IsInteger(format.code); ++o) {
        for (int i = 0; i < 48; ++i) ASSERT_EQ(UnpackedCode(*part, o, i), UnpackedCode(*expected, o, i));
      }
    }
  }
}

TEST(PackedCheckpoint, AnotherFormatGetsTheValuesOfTheCodes) {
  const PackedFolder folder(TinyLlama(), kGroups);
  const auto source = folder.Open();
  ASSERT_TRUE(source.ok());
  const WeightId id = {WeightKind::kDown, 2};
  const PackedMatrix codes = PackFrom(**source, id, {kGroups, 48, 80});
  const PackedMatrix f32 = PackFrom(**source, id, {{Code::kF32}, 48, 80});
  for (int o = 0; o < 48; ++o) {
    const std::vector<float> row = testing::Row(**source, id, o, 80);
    for (int i = 0; i < 80; ++i) {
      ASSERT_EQ(row[static_cast<size_t>(i)], UnpackedValue(codes, o, i));
      ASSERT_EQ(UnpackedValue(f32, o, i), UnpackedValue(codes, o, i));
    }
  }
}

TEST(PackedCheckpoint, RowsOutOfRangeAndUnknownTensorsAreRefused) {
  const PackedFolder folder(TinyLlama(), kInt4);
  const auto source = folder.Open();
  ASSERT_TRUE(source.ok());
  std::vector<float> row(48);
  EXPECT_EQ((*source)->ReadRow({WeightKind::kQ, 0}, 64, row).error().code, ErrorCode::kInvalid);
  EXPECT_EQ((*source)->ReadRow({WeightKind::kQ, 0}, -1, row).error().code, ErrorCode::kInvalid);
  EXPECT_EQ((*source)->ReadRow({WeightKind::kQ, 9}, 0, row).error().code, ErrorCode::kNotFound);
  EXPECT_EQ((*source)->ReadRow({WeightKind::kKeyStep, 0}, 0, std::span(row).first(1)).error().code,
            ErrorCode::kNotFound);
  auto part = AllocatePacked({kInt4, 16, 48});
  EXPECT_EQ((*source)->ReadPanels({WeightKind::kQ, 0}, 56, 0, 1, *part).error().code, ErrorCode::kInvalid);
}

TEST(PackedCheckpoint, AFileThatDoesNotBelongToTheConfigIsRefused) {
  const PackedFolder folder(TinyLlama(), kInt4);
  ModelConfig config = TinyLlama();
  config.layers = 2;
  ExpectParts(folder.ErrorOf(config), {kPackedFile, "layers.2.", "has no place"});
  config.layers = 4;
  ExpectParts(folder.ErrorOf(config), {kPackedFile, "layers.3.attention_norm", "there is no tensor"});
  config = TinyLlama();
  config.ffn = 96;
  ExpectParts(folder.ErrorOf(config), {"gate_proj.int4.codes", "U8 [5, 512]", "expected U8 [6, 512]"});
  config = TinyLlama();
  config.qkv_bias = true;
  ExpectParts(folder.ErrorOf(config), {"layers.0.q_proj_bias"});
}

TEST(PackedCheckpoint, DamagedFilesAreRefused) {
  const PackedFolder folder(TinyLlama(), kGroups);
  const std::string good = folder.Bytes();
  folder.Replace(good.substr(0, good.size() - 1));
  ExpectParts(folder.ErrorOf(TinyLlama()), {kPackedFile, "pass the end"});
  folder.Replace("");
  ExpectParts(folder.ErrorOf(TinyLlama()), {kPackedFile, "truncated"});

  std::string version = good;
  version.replace(version.find(R"("version":"1")"), 13, R"("version":"2")");
  folder.Replace(version);
  ExpectParts(folder.ErrorOf(TinyLlama()), {"lodestone-packed", "version '2'", "expected lodestone-packed version 1"});

  // Every code −8: only reading shows it.
  std::string zeroed = good;
  const auto tensors = ParseSafetensors(testing::AsBytes(good), "m");
  ASSERT_TRUE(tensors.ok());
  for (const TensorView& tensor : *tensors) {
    if (tensor.name != "layers.1.q_proj.int4_group32.codes") continue;
    const auto at = static_cast<size_t>(tensor.data.data() - testing::AsBytes(good).data());
    zeroed[at + tensor.data.size() / 2] = '\0';
  }
  ASSERT_NE(zeroed, good);
  folder.Replace(zeroed);
  const auto source = folder.Open();
  ASSERT_TRUE(source.ok());
  auto matrix = AllocatePacked({kGroups, 64, 48});
  const Status status = (*source)->ReadPanels({WeightKind::kQ, 1}, 0, 0, matrix->panels(), *matrix);
  ASSERT_FALSE(status.ok());
  ExpectParts(status.error().message, {"layers.1.q_proj.int4_group32.codes", "code is -8", "damaged"});
}

TEST(PackedCheckpoint, AMissingFileIsNamed) {
  const TemporaryFolder folder;
  const auto source = OpenPackedCheckpoint(folder.path().string(), TinyLlama());
  ASSERT_FALSE(source.ok());
  EXPECT_EQ(source.error().code, ErrorCode::kNotFound);
  ExpectParts(source.error().message, {kPackedFile});
}

}  // namespace
}  // namespace lodestone
