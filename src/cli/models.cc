#include <fmt/format.h>

#include "base/quote.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/layout.h"
#include "cli/output.h"
#include "model/config.h"
#include "model/open_model.h"
#include "report/run_record.h"

namespace lodestone::cli {
namespace {

// "3.3 B", "124 M".
std::string ShortCount(int64_t count) {
  const auto value = static_cast<double>(count);
  if (value >= 1e9) return fmt::format("{:.1f} B", value / 1e9);
  if (value >= 1e6) return fmt::format("{:.0f} M", value / 1e6);
  return FormatNumber(value);
}

Json ToJson(const ModelConfig& config) {
  Json json;
  json.Set("name", config.name).Set("architecture", ToString(config.architecture));
  json.Set("parameters", ParameterCount(config)).Set("layers", config.layers).Set("hidden", config.hidden);
  json.Set("ffn", config.ffn).Set("heads", config.heads).Set("kv_heads", config.kv_heads);
  json.Set("head_dim", config.head_dim).Set("vocab", config.vocab).Set("max_positions", config.max_positions);
  json.Set("tied_embeddings", config.tied_embeddings);
  if (config.stored) json.Set("stored_recipe", config.stored->recipe).Set("stored_method", config.stored->method);
  return json;
}

std::string Details(const ModelConfig& config) {
  const auto number = [](auto value) { return FormatNumber(static_cast<double>(value)); };
  std::string text = fmt::format("{} ({})\n", config.name, ToString(config.architecture));
  const auto add = [&text](const char* label, const std::string& value) {
    text += fmt::format("  {:<12}{}\n", label, value);
  };
  add("parameters", number(ParameterCount(config)));
  add("layers", number(config.layers));
  add("hidden", number(config.hidden));
  add("MLP", fmt::format("{}, {}", number(config.ffn), config.gated_mlp ? "gated" : "plain"));
  add("heads", fmt::format("{} of {}, {} for K and V", config.heads, config.head_dim, config.kv_heads));
  add("vocabulary", fmt::format("{}, {}", number(config.vocab),
                                config.tied_embeddings ? "one table for input and output" : "two tables"));
  add("positions", fmt::format("{}, {}", number(config.max_positions),
                               config.position == PositionKind::kRotary ? "rotary" : "learned"));
  add("norm", config.norm == NormKind::kRms ? "RMSNorm" : "LayerNorm");
  if (config.stored) add("stored in", fmt::format("{}, by {}", config.stored->recipe, config.stored->method));
  return text;
}

class ModelsCommand final : public Command {
 public:
  CommandLine Line() override {
    return {.name = "models",
            .summary = "The shapes that can be planned and simulated without weights.",
            .details =
                "Any Hugging Face directory or GGUF file works in their place; it also brings the weights to generate "
                "with.",
            .options = {{"--json", "", "The same as JSON.", &json_}},
            .operand = "NAME",
            .operand_help = "A name of the list, a directory or a GGUF file: every figure of its shape.",
            .operand_target = &name_,
            .examples = {{"the list", "lodestone models"}, {"one shape", "lodestone models granite-3b-14l"}}};
  }

  Status Run() override {
    LODESTONE_ASSIGN_OR_RETURN(const std::vector<CatalogModel> models, CatalogModels());
    if (name_) return ShowOne(models);
    if (json_) {
      Json::Array list;
      for (const CatalogModel& model : models) list.push_back(WithOrigin(model));
      PrintJson(list);
      return {};
    }
    std::vector<std::vector<std::string>> rows{
        {"name", "parameters", "layers", "hidden", "MLP", "heads", "KV", "vocabulary", "positions"}};
    for (const CatalogModel& model : models) {
      const ModelConfig& config = model.config;
      rows.push_back({model.name, ShortCount(ParameterCount(config)), fmt::format("{}", config.layers),
                      FormatNumber(config.hidden), FormatNumber(config.ffn), fmt::format("{}", config.heads),
                      fmt::format("{}", config.kv_heads), FormatNumber(config.vocab),
                      FormatNumber(static_cast<double>(config.max_positions))});
    }
    Print(RenderTable(rows));
    Print("\n'lodestone models NAME' shows a shape and where it comes from.\n");
    return {};
  }

 private:
  static Json WithOrigin(const CatalogModel& model) {
    Json json = ToJson(model.config);
    json.Set("description", model.description).Set("source", model.source);
    return json;
  }

  Status ShowOne(const std::vector<CatalogModel>& models) const {
    for (const CatalogModel& model : models) {
      if (model.name != *name_) continue;
      if (json_) {
        PrintJson(WithOrigin(model));
        return {};
      }
      Print(Details(model.config));
      Print(fmt::format("\n{}\n{}\n", Wrap("  " + model.description, kWidth, 2),
                        Wrap("  Source: " + model.source, kWidth, 4)));
      return {};
    }
    LODESTONE_ASSIGN_OR_RETURN(const ModelConfig config, OpenShape(*name_));
    if (json_) {
      PrintJson(ToJson(config));
    } else {
      Print(Details(config));
    }
    return {};
  }

  std::optional<std::string> name_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeModels() { return std::make_unique<ModelsCommand>(); }

}  // namespace lodestone::cli
