// The kernels' name for an activation function of the model.
#pragma once

#include "kernels/kernel_table.h"
#include "model/config.h"

namespace lodestone {

inline kernels::Activation KernelActivation(ActivationKind kind) {
  switch (kind) {
    case ActivationKind::kSilu:
      return kernels::Activation::kSilu;
    case ActivationKind::kGeluTanh:
      return kernels::Activation::kGeluTanh;
    case ActivationKind::kGeluErf:
      return kernels::Activation::kGeluErf;
  }
  return kernels::Activation::kSilu;
}

}  // namespace lodestone
