// Lambdas as the cases of a std::visit; a variant's kind that no lambda takes does not compile.
#pragma once

namespace lodestone {

template <typename... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};
template <typename... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

}  // namespace lodestone
