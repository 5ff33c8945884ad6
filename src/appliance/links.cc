#include "appliance/appliance.h"

namespace lodestone {

Links Links::Of(const ApplianceSpec& spec) {
  Links links;
  links.bytes_per_s = spec.card.link_bytes_per_s.value;
  links.latency = Time::Seconds(spec.card.link_latency_s.value);
  links.host_turnaround = Time::Seconds(spec.host_turnaround_s.value);
  links.cards_per_server = spec.cards_per_server;
  if (spec.network_bytes_per_s) links.network_bytes_per_s = spec.network_bytes_per_s->value;
  if (spec.network_latency_s) links.network_latency = Time::Seconds(spec.network_latency_s->value);
  return links;
}

}  // namespace lodestone
