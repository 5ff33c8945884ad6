// The clock of an appliance. Cards never read it: the caller creates it, the appliance advances it.
#pragma once

#include <cstdint>

#include "base/units.h"

namespace lodestone {

class Timeline {
 public:
  virtual ~Timeline() = default;
  virtual Time Now() const = 0;
  // Moves on to `time`, if that is later: at once on a virtual clock; the wall clock moves by itself.
  virtual void AdvanceTo(Time time) = 0;
};

// Starts at 0 and moves only when told.
class VirtualTimeline final : public Timeline {
 public:
  Time Now() const override { return now_; }
  void AdvanceTo(Time time) override {
    if (time > now_) now_ = time;
  }

 private:
  Time now_;
};

// The monotonic clock, 0 at construction.
class WallTimeline final : public Timeline {
 public:
  WallTimeline();
  Time Now() const override;
  void AdvanceTo(Time) override {}

 private:
  int64_t start_ns_;
};

}  // namespace lodestone
