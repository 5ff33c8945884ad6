#include "appliance/itinerary.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

namespace lodestone {
namespace {

enum class WireKind { kSwitchUp, kSwitchDown, kNetworkOut, kNetworkIn, kSoftware };

class Builder {
 public:
  Builder(const std::vector<ChainStep>& steps, std::vector<FlowStage> stages, const Links& links)
      : steps_(steps), links_(links) {
    plan_.stages = std::move(stages);
    progress_.resize(plan_.stages.size());
    plan_.ps_per_byte = PsPerByte(links.bytes_per_s);
    plan_.energy_per_byte = links.link_energy_per_byte;
  }

  Result<Itinerary> Build() {
    LODESTONE_RETURN_IF_ERROR(NumberCardsAndKinds());
    home_ = ServerOf(plan_.cards.front());
    AddActivities();
    SortOutWires();
    return std::move(plan_);
  }

 private:
  static double PsPerByte(double bytes_per_s) { return bytes_per_s > 0 ? 1e12 / bytes_per_s : 0; }

  const FlowStage& StageAt(int stage) const { return plan_.stages[static_cast<size_t>(stage)]; }
  const AmountsOfKind& AmountsAt(int stage) const { return plan_.kinds[static_cast<size_t>(StageAt(stage).kind)]; }
  int UsedCard(int stage) const { return stage == kAtHost ? kAtHost : plan_.card_of[static_cast<size_t>(stage)]; }
  int ServerOf(int card) const { return links_.cards_per_server > 0 ? card / links_.cards_per_server : 0; }
  // The switch of a card; switches do not reach over servers.
  std::pair<int, int> SwitchOf(int card) const {
    const int within = links_.cards_per_server > 0 ? card % links_.cards_per_server : card;
    return {ServerOf(card), links_.cards_per_switch > 0 ? within / links_.cards_per_switch : 0};
  }

  Status NumberCardsAndKinds();
  void AddActivities();
  void Gather(const ChainStep& step, int section);
  void HandOver(const ChainStep& step, const ChainStep& next);
  void Compute(int stage, int section);
  void Hop(int from, int to, int amount, int value, bool adds);
  Activity& Move(int from, int to, int host_server, int source, int amount, int value, bool adds);
  void AddPath(int from_server, int to_server, Activity& move);
  void AddWire(WireKind kind, std::pair<int, int> where, double bytes_per_s, Activity& activity);
  void SortOutWires();
  bool DelaysNobody(size_t wire, const std::vector<const Activity*>& users) const;
  int NewValue() { return plan_.values++; }

  // How far the list has come with a stage.
  struct Progress {
    int input = 0;                    // value: what the next section works on is there
    bool over_link = true;            // and came over the card's link
    int result = 0;                   // value of the section that was added last
    size_t compute = 0;               // its activity
    std::optional<size_t> last_copy;  // the move of its result that was added last
  };
  Progress& At(int stage) { return progress_[static_cast<size_t>(stage)]; }

  const std::vector<ChainStep>& steps_;
  const Links& links_;
  Itinerary plan_;
  int home_ = 0;                    // server of the host
  std::vector<Progress> progress_;  // of a stage
  std::map<std::pair<WireKind, std::pair<int, int>>, int> wire_ids_;
  std::vector<WireKind> wire_kinds_;
};

Status Builder::NumberCardsAndKinds() {
  for (const FlowStage& stage : plan_.stages) {
    const auto found = std::find(plan_.cards.begin(), plan_.cards.end(), stage.card);
    plan_.card_of.push_back(static_cast<int>(found - plan_.cards.begin()));
    if (found == plan_.cards.end()) plan_.cards.push_back(stage.card);
    const size_t kind = static_cast<size_t>(stage.kind);
    if (plan_.kinds.size() <= kind) plan_.kinds.resize(kind + 1, {.first = 0, .sections = 0});
    int& sections = plan_.kinds[kind].sections;
    if (sections == 0) sections = stage.sections;
    if (sections != stage.sections || sections < 1)
      return Invalid(fmt::format("stages of kind {} have {} and {} sections", kind, sections, stage.sections));
  }
  for (AmountsOfKind& kind : plan_.kinds) {
    kind.first = plan_.amounts;
    plan_.amounts += 2 + 2 * kind.sections;
  }
  for (const ChainStep& step : steps_) {
    for (int a = step.first; a < step.first + step.count; ++a) {
      if (StageAt(a).sections != StageAt(step.first).sections) {
        return Invalid(fmt::format("stages {} and {} are ranks of one step and have {} and {} sections", step.first, a,
                                   StageAt(step.first).sections, StageAt(a).sections));
      }
      for (int b = step.first; b < a; ++b) {
        if (UsedCard(a) != UsedCard(b)) continue;
        return Invalid(
            fmt::format("stages {} and {} are ranks of one step, which take cards of their own, but both "
                        "are on card {}",
                        b, a, StageAt(a).card));
      }
    }
  }
  return {};
}

void Builder::AddActivities() {
  const int entry = 0;
  for (int stage = steps_.front().first; stage < steps_.front().count; ++stage) {
    At(stage).input = NewValue();
    Move(kAtHost, stage, home_, entry, AmountsAt(stage).input(), At(stage).input, false);
  }
  const int at_host = NewValue();
  for (size_t k = 0; k < steps_.size(); ++k) {
    const ChainStep& step = steps_[k];
    const int sections = StageAt(step.first).sections;
    for (int section = 0; section < sections; ++section) {
      if (section > 0) Gather(step, section - 1);
      for (int rank = step.first; rank < step.first + step.count; ++rank) Compute(rank, section);
    }
    if (k + 1 < steps_.size()) {
      HandOver(step, steps_[k + 1]);
    } else {
      for (int rank = step.first; rank < step.first + step.count; ++rank) {
        Hop(rank, kAtHost, AmountsAt(rank).output(), at_host, true);
      }
    }
  }
  Activity back;
  back.kind = Activity::Kind::kReturn;
  back.source = at_host;
  back.value = NewValue();
  back.span = links_.host_turnaround;
  plan_.activities.push_back(back);
}

// Every rank's part to every other one: first to the next, then to the one after, so that each receives one at a time.
void Builder::Gather(const ChainStep& step, int section) {
  for (int rank = step.first; rank < step.first + step.count; ++rank) {
    At(rank).over_link = step.count > 1;
    At(rank).input = step.count > 1 ? NewValue() : At(rank).result;
  }
  for (int ahead = 1; ahead < step.count; ++ahead) {
    for (int rank = 0; rank < step.count; ++rank) {
      const int from = step.first + rank, to = step.first + (rank + ahead) % step.count;
      Hop(from, to, AmountsAt(from).gather(section), At(to).input, ahead > 1);
    }
  }
}

// Ranks hold the same residual stream: rank q of the next step is served by rank q mod count.
void Builder::HandOver(const ChainStep& step, const ChainStep& next) {
  for (int rank = 0; rank < step.count; ++rank) {
    const int from = step.first + rank;
    for (int to = next.first + rank; to < next.first + next.count; to += step.count) {
      At(to).over_link = UsedCard(to) != UsedCard(from);
      At(to).input = At(to).over_link ? NewValue() : At(from).result;
      if (At(to).over_link) Hop(from, to, AmountsAt(to).input(), At(to).input, false);
    }
  }
}

void Builder::Compute(int stage, int section) {
  Activity compute;
  compute.kind = Activity::Kind::kCompute;
  compute.frees_arrival = At(stage).over_link;
  compute.from = compute.to = stage;
  compute.from_card = compute.to_card = UsedCard(stage);
  compute.section = section;
  compute.source = At(stage).input;
  compute.value = At(stage).result = NewValue();
  compute.amount = AmountsAt(stage).time(section);
  At(stage).compute = plan_.activities.size();
  At(stage).last_copy.reset();
  plan_.activities.push_back(compute);
}

// A copy of what stage `from` made last goes to stage `to` or to the host. Copies go one after another, and the last
// one frees the slot.
void Builder::Hop(int from, int to, int amount, int value, bool adds) {
  const int source = At(from).result;
  plan_.activities[At(from).compute].takes_departure = true;
  if (At(from).last_copy) plan_.activities[*At(from).last_copy].frees_departure = false;
  At(from).last_copy = plan_.activities.size();
  if (links_.transfers == Transfers::kDirect || to == kAtHost) {
    Move(from, to, home_, source, amount, value, adds).frees_departure = true;
    return;
  }
  const int in_memory = NewValue(), turned = NewValue(), server = ServerOf(StageAt(from).card);
  Move(from, kAtHost, server, source, amount, in_memory, false).frees_departure = true;
  Activity software;
  software.kind = Activity::Kind::kSoftware;
  software.from = from;
  software.to = to;
  software.from_card = UsedCard(from);
  software.to_card = UsedCard(to);
  software.source = in_memory;
  software.value = turned;
  software.span = links_.host_transfer;
  AddWire(WireKind::kSoftware, {server, 0}, 0, software);
  plan_.activities.push_back(software);
  Move(kAtHost, to, server, turned, amount, value, adds);
}

// One end may be the host of server `host_server`.
Activity& Builder::Move(int from, int to, int host_server, int source, int amount, int value, bool adds) {
  Activity move;
  move.kind = Activity::Kind::kMove;
  move.takes_arrival = to != kAtHost && !adds;
  move.adds = adds;
  move.from = from;
  move.to = to;
  move.from_card = UsedCard(from);
  move.to_card = UsedCard(to);
  move.source = source;
  move.value = value;
  move.amount = amount;
  const auto server = [&](int stage) { return stage == kAtHost ? host_server : ServerOf(StageAt(stage).card); };
  AddPath(server(from), server(to), move);
  return plan_.activities.emplace_back(move);
}

void Builder::AddPath(int from_server, int to_server, Activity& move) {
  const bool leaves = move.from != kAtHost, enters = move.to != kAtHost;
  const auto at = [&](int stage) { return SwitchOf(StageAt(stage).card); };
  if (links_.cards_per_switch > 0 && !(leaves && enters && at(move.from) == at(move.to))) {
    if (leaves) AddWire(WireKind::kSwitchUp, at(move.from), links_.uplink_bytes_per_s, move);
    if (enters) AddWire(WireKind::kSwitchDown, at(move.to), links_.uplink_bytes_per_s, move);
  }
  move.span = links_.latency;
  if (from_server == to_server) return;
  move.span += links_.network_latency;
  AddWire(WireKind::kNetworkOut, {from_server, 0}, links_.network_bytes_per_s, move);
  AddWire(WireKind::kNetworkIn, {to_server, 0}, links_.network_bytes_per_s, move);
}

void Builder::AddWire(WireKind kind, std::pair<int, int> where, double bytes_per_s, Activity& activity) {
  if (kind != WireKind::kSoftware && bytes_per_s <= 0) return;
  const auto [entry, added] = wire_ids_.try_emplace({kind, where}, static_cast<int>(plan_.wires.size()));
  if (added) {
    plan_.wires.push_back({PsPerByte(bytes_per_s)});
    wire_kinds_.push_back(kind);
  }
  if (activity.wires++ == 0) activity.first_wire = static_cast<int>(plan_.paths.size());
  plan_.paths.push_back(entry->second);
}

// Transfers through a wire at one moment are at most as many as the cards that send through it, or that receive, each
// at the rate of its link.
bool Builder::DelaysNobody(size_t wire, const std::vector<const Activity*>& users) const {
  if (wire_kinds_[wire] == WireKind::kSoftware || plan_.ps_per_byte <= 0) return false;
  std::set<int> senders, receivers;
  for (const Activity* user : users) {
    senders.insert(user->from_card);
    receivers.insert(user->to_card);
  }
  size_t at_once = users.size();
  if (!senders.count(kAtHost)) at_once = std::min(at_once, senders.size());
  if (!receivers.count(kAtHost)) at_once = std::min(at_once, receivers.size());
  return plan_.wires[wire].ps_per_byte * static_cast<double>(at_once) <= plan_.ps_per_byte;
}

// Leaves out the wires that delay nobody and marks those who wait in line where the order is not the program's: it is
// where one engine of one card issues all transfers, for an engine works in program order.
void Builder::SortOutWires() {
  std::vector<std::vector<const Activity*>> users(plan_.wires.size());
  const auto path_of = [&](const Activity& activity) {
    return std::span(plan_.paths)
        .subspan(static_cast<size_t>(activity.first_wire), static_cast<size_t>(activity.wires));
  };
  for (const Activity& activity : plan_.activities) {
    for (int wire : path_of(activity)) users[static_cast<size_t>(wire)].push_back(&activity);
  }
  std::vector<bool> kept(plan_.wires.size()), contended(plan_.wires.size());
  for (size_t wire = 0; wire < plan_.wires.size(); ++wire) {
    const Activity& first = *users[wire].front();
    kept[wire] = !DelaysNobody(wire, users[wire]);
    const auto all = [&](int Activity::*card) {
      return first.*card != kAtHost && std::all_of(users[wire].begin(), users[wire].end(),
                                                   [&](const Activity* user) { return user->*card == first.*card; });
    };
    contended[wire] = kept[wire] && !all(&Activity::from_card) &&
                      (wire_kinds_[wire] == WireKind::kSoftware || !all(&Activity::to_card));
  }
  std::vector<int> paths;
  for (Activity& activity : plan_.activities) {
    const int begin = static_cast<int>(paths.size());
    for (int wire : path_of(activity)) {
      if (!kept[static_cast<size_t>(wire)]) continue;
      paths.push_back(wire);
      activity.contended = activity.contended || contended[static_cast<size_t>(wire)];
    }
    activity.first_wire = begin;
    activity.wires = static_cast<int>(paths.size()) - begin;
  }
  plan_.paths = std::move(paths);
}

}  // namespace

bool Itinerary::ordered() const {
  return std::none_of(activities.begin(), activities.end(), [](const Activity& a) { return a.contended; });
}

Result<Itinerary> MakeItinerary(const std::vector<ChainStep>& steps, std::vector<FlowStage> stages,
                                const Links& links) {
  return Builder(steps, std::move(stages), links).Build();
}

}  // namespace lodestone
