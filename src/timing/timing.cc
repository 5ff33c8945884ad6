#include "timing/timing.h"

namespace lodestone {

const char* ToString(Bound bound) {
  switch (bound) {
    case Bound::kMatrix:
      return "matrix";
    case Bound::kMemory:
      return "memory";
    case Bound::kVector:
      return "vector";
    case Bound::kOverhead:
      return "overhead";
  }
  return "?";
}

}  // namespace lodestone
