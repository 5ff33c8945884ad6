#include "plan/alternatives.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "plan/words.h"

namespace lodestone {
namespace {

constexpr size_t kMaxRecipes = 3;

// The largest n in [1, limit) for which `fits(n)` holds, or 0. `fits` is monotone: fewer always fit if more do.
template <typename Predicate>
int64_t Largest(int64_t limit, Predicate fits) {
  int64_t low = 0, high = limit;
  while (high - low > 1) {
    const int64_t middle = low + (high - low) / 2;
    (fits(middle) ? low : high) = middle;
  }
  return low;
}

// The same recipe's name with the format columns of another one: suffixes are kept where that one knows them.
std::optional<Recipe> WithSuffixesOf(const Recipe& recipe, const std::string& name) {
  const size_t colon = recipe.name.find(':');
  const std::string suffixes = colon == std::string::npos ? "" : recipe.name.substr(colon);
  for (const std::string& text : {name + suffixes, name}) {
    if (Result<Recipe> parsed = ParseRecipe(text); parsed.ok()) return *std::move(parsed);
  }
  return std::nullopt;
}

// Integer recipes with a smaller KV format and weights that are no larger, which place this demand.
std::vector<std::string> SmallerRecipes(const ModelConfig& config, const Recipe& recipe, const Demand& demand,
                                        int64_t capacity, int cards) {
  std::vector<std::string> found;
  for (const std::string& name : RecipeNames()) {
    const std::optional<Recipe> other = WithSuffixesOf(recipe, name);
    if (!other || !IsInteger(other->activations.code) || !IsInteger(other->kv.code)) continue;
    if (other->weights.code == Code::kInt2) continue;  // makes no tokens
    const int weight_bits = BitsOf(other->weights.code), kv_bits = BitsOf(other->kv.code);
    if (kv_bits > BitsOf(recipe.kv.code) || weight_bits > BitsOf(recipe.weights.code)) continue;
    if (kv_bits == BitsOf(recipe.kv.code) && weight_bits == BitsOf(recipe.weights.code)) continue;
    const Result<Program> program = Describe(config, *other);
    if (!program.ok()) continue;
    const Result<ModelShape> shape = ModelShape::Of(*program);
    if (!shape.ok() || !shape->Arrange(demand, capacity, cards, nullptr)) continue;
    found.push_back(fmt::format("recipe {} ({} weights, {} KV)", other->name, ToString(other->weights.code),
                                ToString(other->kv.code)));
    if (found.size() == kMaxRecipes) break;
  }
  return found;
}

}  // namespace

std::string Alternatives(const ModelConfig& config, const Recipe& recipe, const ModelShape& shape, const Demand& demand,
                         int64_t capacity, int cards) {
  std::vector<std::string> list;
  const auto fits = [&](int64_t users, int64_t context) {
    Demand other = demand;
    other.users = static_cast<int>(users);
    other.context = context;
    return shape.Arrange(other, capacity, cards, nullptr).has_value();
  };
  const int64_t users = Largest(demand.users, [&](int64_t n) { return fits(n, demand.context); });
  if (users > 0) list.push_back(UsersWith(users, "at", demand.context));
  const int64_t pages =
      Largest(PagesPerUser(demand.context), [&](int64_t n) { return fits(demand.users, n * kPagePositions); });
  if (pages > 0) list.push_back(UsersWith(demand.users, "at", pages * kPagePositions));
  const int64_t rows = Largest(demand.rows_per_pass, [&](int64_t n) {
    Demand other = demand;
    other.rows_per_pass = static_cast<int>(n);
    return shape.Arrange(other, capacity, cards, nullptr).has_value();
  });
  if (rows > 0) list.push_back(fmt::format("passes of at most {} (a smaller prefill chunk)", Counted(rows, "row")));
  for (std::string& line : SmallerRecipes(config, recipe, demand, capacity, cards)) list.push_back(std::move(line));
  if (const auto more = shape.Arrange(demand, capacity, kMaxPlacedCards, nullptr); more && more->cards > cards) {
    list.push_back(fmt::format("{} such cards", more->cards));
  }
  return list.empty() ? "nothing smaller does" : fmt::format("{}", fmt::join(list, "; "));
}

}  // namespace lodestone
