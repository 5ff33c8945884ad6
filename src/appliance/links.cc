#include <cmath>

#include "appliance/appliance.h"

namespace lodestone {

const char* ToString(Transfers transfers) { return transfers == Transfers::kDirect ? "direct" : "host"; }

Links Links::Of(const ApplianceSpec& spec, Transfers transfers) {
  Links links;
  links.bytes_per_s = spec.card.link_bytes_per_s.value;
  links.latency = Time::Seconds(spec.card.link_latency_s.value);
  links.host_turnaround = Time::Seconds(spec.host_turnaround_s.value);
  links.host_transfer = Time::Seconds(spec.host_transfer_s.value);
  links.cards_per_switch = spec.cards_per_switch;
  links.uplink_bytes_per_s = spec.uplink_bytes_per_s.value;
  links.cards_per_server = spec.cards_per_server;
  links.transfers = transfers;
  links.framebuffer_bytes = static_cast<int64_t>(spec.card.chip.framebuffer_bytes.value);
  links.link_energy_per_byte = {std::llround(spec.card.link_byte_pj.value)};
  if (spec.network_bytes_per_s) links.network_bytes_per_s = spec.network_bytes_per_s->value;
  if (spec.network_latency_s) links.network_latency = Time::Seconds(spec.network_latency_s->value);
  return links;
}

}  // namespace lodestone
