// The model that comes with the program.
#pragma once

#include <optional>
#include <string>

namespace lodestone::cli {

// The directory of models/nano in w4a4: installed beside the program (share/lodestone/models), or in the checkout in
// which the program was built. None where the program stands alone.
std::optional<std::string> ShippedModel();

}  // namespace lodestone::cli
