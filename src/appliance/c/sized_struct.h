// Structs that grow: the caller writes how large his is, so that programs and libraries of different versions agree.
//
// A shorter struct than ours was compiled against an older header: what it lacks is 0. A longer one comes from a newer
// header: what we do not know must be 0, otherwise the caller asked for something that would be left out.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <type_traits>

#include "appliance/lodestone.h"
#include "base/status.h"

namespace lodestone {

// What a struct was when it was first published: programs of then pass that size for ever.
struct FirstLayout {
  size_t size;
  const char* name;
};
template <typename T>
inline constexpr FirstLayout kFirstLayout{};
template <>
inline constexpr FirstLayout kFirstLayout<lodestone_model_info>{56, "lodestone_model_info"};
template <>
inline constexpr FirstLayout kFirstLayout<lodestone_appliance_options>{24, "lodestone_appliance_options"};
template <>
inline constexpr FirstLayout kFirstLayout<lodestone_demand>{32, "lodestone_demand"};
template <>
inline constexpr FirstLayout kFirstLayout<lodestone_appliance_info>{80, "lodestone_appliance_info"};
template <>
inline constexpr FirstLayout kFirstLayout<lodestone_pass>{72, "lodestone_pass"};
template <>
inline constexpr FirstLayout kFirstLayout<lodestone_done>{56, "lodestone_done"};
template <>
inline constexpr FirstLayout kFirstLayout<lodestone_stage_info>{112, "lodestone_stage_info"};
template <>
inline constexpr FirstLayout kFirstLayout<lodestone_framebuffer_info>{48, "lodestone_framebuffer_info"};
static_assert(sizeof(lodestone_row) == 16 && sizeof(lodestone_page_copy) == 8, "elements of arrays never grow");

// A larger size is none that anybody set.
inline constexpr size_t kLargestStruct = 4096;

// The size that the caller's struct states. Refused: NULL, and a size that none of its versions has.
template <typename T>
Result<size_t> StatedSize(const T* given) {
  constexpr FirstLayout kFirst = kFirstLayout<T>;
  static_assert(std::is_trivially_copyable_v<T> && std::is_standard_layout_v<T>);
  static_assert(kFirst.size > 0 && kFirst.size <= sizeof(T) && sizeof(T) <= kLargestStruct);
  if (given == nullptr) return Invalid(fmt::format("{} is NULL", kFirst.name));
  size_t size = 0;
  std::memcpy(&size, given, sizeof size);
  if (size >= kFirst.size && size <= kLargestStruct) return size;
  return Invalid(fmt::format("{} has size {}, expected {} or more: set it to sizeof({})", kFirst.name, size,
                             kFirst.size, kFirst.name));
}

template <typename T>
Result<T> ReadStruct(const T* given) {
  LODESTONE_ASSIGN_OR_RETURN(const size_t size, StatedSize(given));
  const auto* bytes = reinterpret_cast<const unsigned char*>(given);
  for (size_t i = sizeof(T); i < size; ++i) {
    if (bytes[i] == 0) continue;
    return Unsupported(fmt::format("{}: byte {} is set, but this version of the library knows the first {}",
                                   kFirstLayout<T>.name, i, sizeof(T)));
  }
  T value{};
  std::memcpy(&value, bytes, std::min(size, sizeof(T)));
  return value;
}

// Fills what the caller has room for; the rest of a longer struct becomes 0.
template <typename T>
Status WriteStruct(T value, T* given) {
  LODESTONE_ASSIGN_OR_RETURN(const size_t size, StatedSize(given));
  value.size = size;
  auto* bytes = reinterpret_cast<unsigned char*>(given);
  std::memcpy(bytes, &value, std::min(size, sizeof(T)));
  if (size > sizeof(T)) std::memset(bytes + sizeof(T), 0, size - sizeof(T));
  return {};
}

}  // namespace lodestone
