// Everything that a caller of the C interface can do wrong is refused with a reason, and nothing breaks.
#include <gtest/gtest.h>

#include <cstring>

#include "appliance/c_interface.h"

namespace lodestone::testing {
namespace {

template <typename Handle>
Handle* Forged(uint64_t number) {
  return reinterpret_cast<Handle*>(static_cast<uintptr_t>(number));
}

TEST(CMisuse, Handles) {
  lodestone_appliance_info info{.size = sizeof info};
  const auto describe = [&](lodestone_appliance* handle) { return lodestone_appliance_describe(handle, &info); };
  ExpectRefused(describe(nullptr), LODESTONE_INVALID, "expected an appliance, found NULL");
  int local = 0;
  ExpectRefused(describe(reinterpret_cast<lodestone_appliance*>(&local)), LODESTONE_INVALID, "no handle");
  ExpectRefused(describe(Forged<lodestone_appliance>(~uint64_t{0})), LODESTONE_INVALID, "no handle");

  lodestone_appliance* appliance = nullptr;
  ASSERT_EQ(lodestone_appliance_open("cpu", nullptr, &appliance), LODESTONE_OK);
  ExpectRefused(describe(Forged<lodestone_appliance>(reinterpret_cast<uintptr_t>(appliance) + 1)), LODESTONE_INVALID,
                "no handle");
  ExpectRefused(lodestone_model_close(reinterpret_cast<lodestone_model*>(appliance)), LODESTONE_INVALID,
                "expected a model, found a handle of another kind");
  EXPECT_EQ(describe(appliance), LODESTONE_OK);
  EXPECT_EQ(lodestone_appliance_close(appliance), LODESTONE_OK);
  ExpectRefused(describe(appliance), LODESTONE_INVALID, "closed");
  ExpectRefused(lodestone_appliance_close(appliance), LODESTONE_INVALID, "closed");
  const CAppliance next;  // never takes the name of another
  EXPECT_NE(next.handle, appliance);
  ExpectRefused(describe(appliance), LODESTONE_INVALID, "closed");
}

TEST(CMisuse, EveryCallRefusesAClosedHandle) {
  lodestone_appliance* appliance = nullptr;
  lodestone_model* model = nullptr;
  ASSERT_EQ(lodestone_appliance_open("cpu", nullptr, &appliance), LODESTONE_OK);
  ASSERT_EQ(lodestone_model_open(kSmallModel, &model), LODESTONE_OK);
  ASSERT_EQ(lodestone_appliance_close(appliance), LODESTONE_OK);
  ASSERT_EQ(lodestone_model_close(model), LODESTONE_OK);
  const CPass pass({{0, 0, 7, 1}});
  const lodestone_demand demand = SmallDemand();
  lodestone_done done{.size = sizeof done};
  lodestone_stage_info stage{.size = sizeof stage};
  lodestone_framebuffer_info framebuffer{.size = sizeof framebuffer};
  lodestone_model_info info{.size = sizeof info};
  int32_t token = 0;
  char text = 0;
  size_t count = 0;
  for (const lodestone_result result :
       {lodestone_appliance_configure(appliance, model, &demand), lodestone_appliance_submit(appliance, &pass.pass),
        lodestone_appliance_next(appliance, &done), lodestone_appliance_stage(appliance, 0, &stage),
        lodestone_appliance_framebuffer(appliance, 0, &framebuffer), lodestone_model_describe(model, &info),
        lodestone_model_encode(model, "", &token, 1, &count),
        lodestone_model_decode(model, &token, 1, &text, 1, &count)}) {
    EXPECT_EQ(result, LODESTONE_INVALID);
  }
  const CAppliance open;
  ExpectRefused(lodestone_appliance_configure(open.handle, model, &demand), LODESTONE_INVALID, "expected a model");
}

TEST(CMisuse, OpeningModels) {
  lodestone_model* model = Forged<lodestone_model>(1);
  ExpectRefused(lodestone_model_open(nullptr, &model), LODESTONE_INVALID, "name is NULL");
  EXPECT_EQ(model, nullptr);
  ExpectRefused(lodestone_model_open(kSmallModel, nullptr), LODESTONE_INVALID, "model is NULL");
  ExpectRefused(lodestone_model_open("/no/such/folder", &model), LODESTONE_NOT_FOUND, "/no/such/folder");
  EXPECT_NE(lodestone_model_open("nano-14l", &model), LODESTONE_OK) << "a shape has no weights";
  EXPECT_NE(lodestone_model_open("random:no-such-shape", &model), LODESTONE_OK);
  EXPECT_NE(lodestone_model_open("", &model), LODESTONE_OK);
  EXPECT_EQ(model, nullptr);
}

TEST(CMisuse, OpeningAppliances) {
  lodestone_appliance* appliance = Forged<lodestone_appliance>(1);
  ExpectRefused(lodestone_appliance_open(nullptr, nullptr, &appliance), LODESTONE_INVALID, "name is NULL");
  EXPECT_EQ(appliance, nullptr);
  ExpectRefused(lodestone_appliance_open("cpu", nullptr, nullptr), LODESTONE_INVALID, "appliance is NULL");
  ExpectRefused(lodestone_appliance_open("northpole-17", nullptr, &appliance), LODESTONE_NOT_FOUND, "northpole-16");
  const auto open = [&](const char* name, lodestone_appliance_options options) {
    options.size = sizeof options;
    return lodestone_appliance_open(name, &options, &appliance);
  };
  ExpectRefused(open("cpu", {.threads = -1}), LODESTONE_INVALID, "threads is -1");
  ExpectRefused(open("cpu", {.threads = 1 << 20}), LODESTONE_INVALID, "threads");
  ExpectRefused(open("cpu", {.timing_only = 1}), LODESTONE_INVALID, "'cpu' is this host");
  ExpectRefused(open("cpu", {.fidelity = LODESTONE_FIDELITY_IDEAL}), LODESTONE_INVALID, "'cpu' is this host");
  ExpectRefused(open("northpole-16", {.timing_only = 2}), LODESTONE_INVALID, "timing_only is 2");
  ExpectRefused(open("northpole-16", {.transfers = 7}), LODESTONE_INVALID, "transfers is 7");
  ExpectRefused(open("northpole-16", {.fidelity = -3}), LODESTONE_INVALID, "fidelity is -3");
  EXPECT_EQ(appliance, nullptr);
}

TEST(CMisuse, StructsOfOtherSizes) {
  lodestone_appliance* appliance = nullptr;
  lodestone_appliance_options unset{};
  ExpectRefused(lodestone_appliance_open("cpu", &unset, &appliance), LODESTONE_INVALID,
                "set it to sizeof(lodestone_appliance_options)");
  unset.size = ~size_t{0};
  ExpectRefused(lodestone_appliance_open("cpu", &unset, &appliance), LODESTONE_INVALID, "lodestone_appliance_options");

  struct Newer {
    lodestone_appliance_options options;
    int64_t added;
  };
  Newer newer{.options = {.size = sizeof(Newer), .threads = 1}, .added = 0};
  ASSERT_EQ(lodestone_appliance_open("cpu", &newer.options, &appliance), LODESTONE_OK) << lodestone_error_message();
  newer.added = 3;
  lodestone_appliance* other = nullptr;
  ExpectRefused(lodestone_appliance_open("cpu", &newer.options, &other), LODESTONE_UNSUPPORTED, "byte 24");

  struct NewerInfo {
    lodestone_appliance_info info;
    int64_t added;
  };
  NewerInfo info{.info = {.size = sizeof(NewerInfo)}, .added = 5};
  ASSERT_EQ(lodestone_appliance_describe(appliance, &info.info), LODESTONE_OK);
  EXPECT_EQ(info.info.size, sizeof(NewerInfo));
  EXPECT_EQ(info.info.computes, 1);
  EXPECT_EQ(info.added, 0);
  info.info.size = 8;
  ExpectRefused(lodestone_appliance_describe(appliance, &info.info), LODESTONE_INVALID, "lodestone_appliance_info");
  ExpectRefused(lodestone_appliance_describe(appliance, nullptr), LODESTONE_INVALID, "is NULL");
  EXPECT_EQ(lodestone_appliance_close(appliance), LODESTONE_OK);
}

TEST(CMisuse, BeforeItIsConfigured) {
  const CAppliance appliance;
  const CPass pass({{0, 0, 7, 1}});
  lodestone_done done{.size = sizeof done};
  lodestone_stage_info stage{.size = sizeof stage};
  lodestone_framebuffer_info framebuffer{.size = sizeof framebuffer};
  ExpectRefused(lodestone_appliance_submit(appliance.handle, &pass.pass), LODESTONE_INVALID, "not configured");
  ExpectRefused(lodestone_appliance_next(appliance.handle, &done), LODESTONE_INVALID, "not configured");
  ExpectRefused(lodestone_appliance_stage(appliance.handle, 0, &stage), LODESTONE_INVALID, "not configured");
  ExpectRefused(lodestone_appliance_framebuffer(appliance.handle, 0, &framebuffer), LODESTONE_INVALID,
                "not configured");
}

TEST(CMisuse, ConfiguringAndThenRightAndThenAgain) {
  const CModel model;
  lodestone_model* shape = nullptr;
  ASSERT_EQ(lodestone_model_open_shape("nano-14l", &shape), LODESTONE_OK);
  const CAppliance appliance;
  const auto configure = [&](lodestone_model* with, lodestone_demand demand) {
    return lodestone_appliance_configure(appliance.handle, with, &demand);
  };
  const auto changed = [](auto member, auto value) {
    lodestone_demand demand = SmallDemand();
    demand.*member = value;
    return demand;
  };
  using D = lodestone_demand;
  ExpectRefused(lodestone_appliance_configure(appliance.handle, model.handle, nullptr), LODESTONE_INVALID, "NULL");
  ExpectRefused(configure(shape, SmallDemand()), LODESTONE_INVALID, "no weights");
  ExpectRefused(configure(model.handle, changed(&D::recipe, nullptr)), LODESTONE_INVALID, "no recipe");
  ExpectRefused(configure(model.handle, changed(&D::recipe, "w5a5")), LODESTONE_INVALID, "w5a5");
  ExpectRefused(configure(model.handle, changed(&D::recipe, "w4a4:static")), LODESTONE_NOT_FOUND, "step sizes");
  ExpectRefused(configure(model.handle, changed(&D::users, 0)), LODESTONE_INVALID, "users");
  ExpectRefused(configure(model.handle, changed(&D::users, -5)), LODESTONE_INVALID, "users");
  ExpectRefused(configure(model.handle, changed(&D::context, 0)), LODESTONE_INVALID, "context");
  EXPECT_NE(configure(model.handle, changed(&D::context, 1 << 20)), LODESTONE_OK) << "the model has 2048 positions";
  ExpectRefused(configure(model.handle, changed(&D::rows_per_pass, 0)), LODESTONE_INVALID, "rows");
  ExpectRefused(configure(model.handle, changed(&D::decode_rows, 5)), LODESTONE_INVALID, "decode_rows is 5");
  ExpectRefused(configure(model.handle, changed(&D::decode_rows, -1)), LODESTONE_INVALID, "decode_rows is -1");
  EXPECT_EQ(appliance.Describe().configured, 0);

  ASSERT_EQ(configure(model.handle, SmallDemand()), LODESTONE_OK) << lodestone_error_message();
  ExpectRefused(configure(model.handle, SmallDemand()), LODESTONE_INVALID, "already configured");
  const CPass pass({{0, 0, 7, 1}});
  EXPECT_EQ(lodestone_appliance_submit(appliance.handle, &pass.pass), LODESTONE_OK) << "the first demand still holds";
  EXPECT_EQ(lodestone_model_close(shape), LODESTONE_OK);
}

TEST(CMisuse, MoreThanFits) {
  const CModel model("random:granite-3b-14l");
  const CAppliance cards("northpole-16", {.timing_only = 1});
  lodestone_demand demand{
      .size = sizeof demand, .recipe = "w4a4:static", .users = 500, .context = 2048, .rows_per_pass = 128};
  ExpectRefused(lodestone_appliance_configure(cards.handle, model.handle, &demand), LODESTONE_INFEASIBLE, "fit");
  demand.users = 28;
  EXPECT_EQ(lodestone_appliance_configure(cards.handle, model.handle, &demand), LODESTONE_OK);
}

TEST(CMisuse, PassesAreRefusedWholeAndTheApplianceGoesOn) {
  const CModel model;
  const CAppliance cpu, cards("northpole-16");
  for (const CAppliance* appliance : {&cpu, &cards}) {
    const lodestone_demand demand = SmallDemand();
    ASSERT_EQ(lodestone_appliance_configure(appliance->handle, model.handle, &demand), LODESTONE_OK);
    const auto refused = [&](const CPass& pass, const char* part) {
      ExpectRefused(lodestone_appliance_submit(appliance->handle, &pass.pass), LODESTONE_INVALID, part);
    };
    ExpectRefused(lodestone_appliance_submit(appliance->handle, nullptr), LODESTONE_INVALID, "lodestone_pass is NULL");
    refused(CPass({}), "no rows");
    refused(CPass({{}, {}, {}, {}, {}}), "at most 4");
    refused(CPass({{0, 0, 7, 3}}), "wants_logits is 3");
    refused(CPass({{0, 0, -1, 1}}), "token -1");
    refused(CPass({{0, 0, kSmallVocab, 1}}), "token 2048, expected 0 to 2047");
    refused(CPass({{0, -1, 7, 1}}), "position -1");
    refused(CPass({{0, 2048, 7, 1}}), "position 2048");
    refused(CPass({{0, 128, 7, 1}}), "beyond the 2 pages");
    refused(CPass({{1, 0, 7, 1}}), "sequence 1 of a page table of 1");
    refused(CPass({{0, 1, 7, 0}, {0, 1, 8, 1}}), "comes after");
    refused(CPass({{0, 1, 7, 0}, {0, 0, 8, 1}}), "comes after");
    refused(CPass({{0, 0, 7, 1}}, {0, 4}), "page 4 of the 4");
    refused(CPass({{0, 0, 7, 1}}, {-1, 1}), "page -1");
    refused(CPass({{0, 0, 7, 1}}, {0, 1, 2, 3}, 2), "page table");  // a sequence without a row
    refused(CPass({{0, 0, 7, 1}}, {}), "page_table is NULL");
    refused(CPass({{0, 5, 7, 1}, {1, 5, 8, 1}}, {0, 1, 0, 2}, 2), "two rows write entry 5 of page 0");

    CPass wild({{0, 0, 7, 1}});
    wild.pass.row_count = ~size_t{0};
    refused(wild, "at most 4");
    wild.pass.row_count = 1;
    wild.pass.rows = nullptr;
    refused(wild, "rows is NULL");
    wild.pass.rows = wild.rows.data();
    wild.pass.pages_per_sequence = ~size_t{0};
    refused(wild, "page table of 1 sequences");
    wild.pass.pages_per_sequence = 2;
    wild.pass.sequences = ~size_t{0};
    refused(wild, "2 pages for 1 rows");
    wild.pass.sequences = 1;
    wild.pass.page_table = nullptr;
    refused(wild, "page_table is NULL");
    wild.pass.page_table = wild.page_table.data();
    const lodestone_page_copy copy{0, 9};
    wild.pass.page_copy_count = 1;
    refused(wild, "page_copies is NULL");
    wild.pass.page_copies = &copy;
    refused(wild, "copies page 0 to page 9");
    wild.pass.size = 16;
    refused(wild, "sizeof(lodestone_pass)");

    EXPECT_EQ(appliance->Describe().in_flight, 0);
    lodestone_done done{.size = sizeof done};
    ExpectRefused(lodestone_appliance_next(appliance->handle, &done), LODESTONE_EMPTY, "no pass");
    const CPass right({{0, 0, 7, 1}, {1, 0, 7, 1}}, {0, 1, 2, 3}, 2);
    ASSERT_EQ(lodestone_appliance_submit(appliance->handle, &right.pass), LODESTONE_OK) << lodestone_error_message();
    ExpectRefused(lodestone_appliance_next(appliance->handle, nullptr), LODESTONE_INVALID, "lodestone_done is NULL");
    EXPECT_EQ(lodestone_appliance_next(appliance->handle, &done), LODESTONE_OK) << "the pass is still inside";
    ASSERT_EQ(done.logit_rows, 2u);
    EXPECT_EQ(std::memcmp(done.logits, done.logits + done.vocab, done.vocab * sizeof(float)), 0);
  }
}

// Nobody reads tokens and pages where no card computes, but rows are the load.
TEST(CMisuse, PassesWithoutTokens) {
  const CModel model;
  const CAppliance cards("northpole-16", {.timing_only = 1});
  const lodestone_demand demand = SmallDemand();
  ASSERT_EQ(lodestone_appliance_configure(cards.handle, model.handle, &demand), LODESTONE_OK);
  const auto submit = [&](const CPass& pass) { return lodestone_appliance_submit(cards.handle, &pass.pass); };
  ExpectRefused(submit(CPass({}, {}, 0)), LODESTONE_INVALID, "no rows");
  ExpectRefused(submit(CPass({{0, 2048, 0, 1}}, {}, 0)), LODESTONE_INVALID, "position 2048");
  ExpectRefused(submit(CPass({{0, 1, 0, 0}, {0, 1, 0, 1}}, {}, 0)), LODESTONE_INVALID, "comes after");
  EXPECT_EQ(submit(CPass({{9, 3, -1, 1}}, {}, 0)), LODESTONE_OK) << lodestone_error_message();
}

TEST(CMisuse, TextAndTokens) {
  const CModel model;
  int32_t token = 'a';
  char text[8];
  size_t count = 0;
  ExpectRefused(lodestone_model_encode(model.handle, nullptr, &token, 1, &count), LODESTONE_INVALID, "text is NULL");
  ExpectRefused(lodestone_model_encode(model.handle, "a", nullptr, 1, &count), LODESTONE_INVALID, "tokens is NULL");
  ExpectRefused(lodestone_model_encode(model.handle, "a", &token, 1, nullptr), LODESTONE_INVALID, "count is NULL");
  ExpectRefused(lodestone_model_encode(model.handle, "\xff", &token, 1, &count), LODESTONE_INVALID, "UTF-8");
  ExpectRefused(lodestone_model_decode(model.handle, nullptr, 1, text, 8, &count), LODESTONE_INVALID, "tokens is NULL");
  ExpectRefused(lodestone_model_decode(model.handle, &token, 1, nullptr, 8, &count), LODESTONE_INVALID, "text is NULL");
  ExpectRefused(lodestone_model_decode(model.handle, &token, 1, text, 8, nullptr), LODESTONE_INVALID, "length is NULL");
  ExpectRefused(lodestone_model_decode(model.handle, &token, ~size_t{0}, text, 8, &count), LODESTONE_INVALID, "tokens");
  ExpectRefused(lodestone_model_describe(model.handle, nullptr), LODESTONE_INVALID, "lodestone_model_info is NULL");
  const int32_t strange[] = {-5, 1 << 30, 'b'};  // ids that no token has are passed over
  ASSERT_EQ(lodestone_model_decode(model.handle, strange, 3, text, 8, &count), LODESTONE_OK);
  EXPECT_STREQ(text, "b");

  lodestone_model* shape = nullptr;
  ASSERT_EQ(lodestone_model_open_shape("nano-14l", &shape), LODESTONE_OK);
  ExpectRefused(lodestone_model_encode(shape, "a", &token, 1, &count), LODESTONE_INVALID, "no tokenizer");
  EXPECT_EQ(lodestone_model_close(shape), LODESTONE_OK);
}

}  // namespace
}  // namespace lodestone::testing
