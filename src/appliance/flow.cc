#include "appliance/flow.h"

#include <fmt/format.h>

#include <utility>

#include "appliance/chain.h"
#include "appliance/event_flow.h"

namespace lodestone {

Result<std::unique_ptr<Flow>> MakeFlow(Itinerary itinerary, std::vector<int64_t> slots, FlowMethod method) {
  if (slots.size() != itinerary.cards.size()) {
    return Invalid(
        fmt::format("slots of {} framebuffers were given for {} cards", slots.size(), itinerary.cards.size()));
  }
  if (method == FlowMethod::kAutomatic) {
    method = itinerary.ordered() ? FlowMethod::kRecurrence : FlowMethod::kEvents;
  }
  if (method == FlowMethod::kEvents) {
    return std::unique_ptr<Flow>(std::make_unique<EventFlow>(std::move(itinerary), slots));
  }
  if (!itinerary.ordered())
    return Unsupported("transfers of this chain wait for each other in an order that no recurrence knows");
  return std::unique_ptr<Flow>(std::make_unique<Chain>(std::move(itinerary), slots));
}

}  // namespace lodestone
