#include "timing/timing.h"

namespace lodestone {

const char* ToString(Resource resource) {
  switch (resource) {
    case Resource::kMatrix:
      return "matrix";
    case Resource::kMemory:
      return "memory";
    case Resource::kVector:
      return "vector";
    case Resource::kActivation:
      return "activation";
    case Resource::kActivationNetwork:
      return "activation network";
    case Resource::kPartialSumNetwork:
      return "partial-sum network";
    case Resource::kModelNetwork:
      return "model network";
    case Resource::kInstructionNetwork:
      return "instruction network";
    case Resource::kStart:
      return "start";
  }
  return "unknown";
}

EnergyParts& EnergyParts::operator+=(const EnergyParts& other) {
  matrix += other.matrix;
  memory += other.memory;
  vector += other.vector;
  network += other.network;
  return *this;
}

}  // namespace lodestone
