// Greedy text from a model, in C++: on this host ("cpu") or through simulated cards ("northpole-16"). An end of text is
// a token like any other.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "appliance/machine.h"
#include "model/open_model.h"

using namespace lodestone;

namespace {

struct Words {
  std::string model, appliance, recipe, prompt;
  int tokens = 0;
};

Status Generate(const Words& words) {
  LODESTONE_ASSIGN_OR_RETURN(const Model model, OpenModel(words.model));
  LODESTONE_ASSIGN_OR_RETURN(const Recipe recipe, ParseRecipe(words.recipe));
  LODESTONE_ASSIGN_OR_RETURN(std::vector<int32_t> tokens, model.tokenizer->Encode(words.prompt));
  const size_t prompt = tokens.size(), total = prompt + static_cast<size_t>(words.tokens);

  LODESTONE_ASSIGN_OR_RETURN(const auto spec, OpenAppliance(words.appliance));
  const Demand demand{.context = static_cast<int64_t>(total), .rows_per_pass = static_cast<int>(prompt)};
  LODESTONE_ASSIGN_OR_RETURN(Placement placement, PlaceOn(spec, model.config, recipe, demand));
  LODESTONE_ASSIGN_OR_RETURN(const int threads, ThreadsToUse({}));
  LODESTONE_ASSIGN_OR_RETURN(const OpenedMachine machine,
                             OpenMachine(spec, std::move(placement), {.compute = true, .threads = threads}));
  std::vector<int32_t> pages(static_cast<size_t>(PagesPerUser(demand.context)));
  std::iota(pages.begin(), pages.end(), 0);  // one user: his pages are all there are
  const int page_count = static_cast<int>(pages.size());
  LODESTONE_RETURN_IF_ERROR(machine.appliance->Configure(model.weights.get(), page_count));

  for (size_t fed = 0; tokens.size() < total;) {
    std::vector<Row> rows;  // the prompt at once, then one token after another
    for (; fed < tokens.size(); ++fed) rows.push_back({0, static_cast<int32_t>(fed), tokens[fed]});
    rows.back().wants_logits = true;
    LODESTONE_RETURN_IF_ERROR(machine.appliance->Submit(
        {.load = LoadOf(rows), .rows = rows, .page_table = pages, .pages_per_sequence = page_count}));
    LODESTONE_ASSIGN_OR_RETURN(const auto done, machine.appliance->Next());
    const std::vector<float>& logits = done->logits.data;
    tokens.push_back(static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin()));
    fmt::print("{} ", tokens.back());
  }
  fmt::print("\n{}\n", model.tokenizer->Decode(std::span(tokens).subspan(prompt)));
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) return fmt::print(stderr, "usage: generate_cc MODEL APPLIANCE RECIPE TOKENS PROMPT\n"), 2;
  const Status status = Generate({argv[1], argv[2], argv[3], argv[5], std::atoi(argv[4])});
  if (!status.ok()) fmt::print(stderr, "{}: {}\n", ToString(status.error().code), status.error().message);
  return status.ok() ? 0 : 1;
}
