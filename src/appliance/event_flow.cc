#include "appliance/event_flow.h"

#include <algorithm>
#include <functional>
#include <map>
#include <utility>

#include "base/status.h"

namespace lodestone {

EventFlow::EventFlow(Itinerary plan, std::span<const int64_t> slots)
    : plan_(std::move(plan)),
      state_{.machine = FlowState(plan_, slots),
             .begun = std::vector<int64_t>(plan_.activities.size()),
             .in_line = std::vector<bool>(plan_.activities.size()),
             .passes = {},
             .to_begin = {},
             .line = {},
             .candidates = {}},
      ahead_(state_) {
  FindWaits(slots);
}

// What FlowState asks for: values are there, and the state of a card is that which the activity before has left.
void EventFlow::FindWaits(std::span<const int64_t> slots) {
  const size_t count = plan_.activities.size();
  waits_.resize(count);
  waited_for_by_.resize(count);
  std::vector<std::vector<int>> givers(static_cast<size_t>(plan_.values));
  const size_t cards = plan_.cards.size();
  struct Users {
    std::vector<int> array, out, in, takes_arrival, frees_arrival, takes_departure, frees_departure;
  };
  std::vector<Users> users(cards);
  std::map<int, std::vector<int>> software;
  for (size_t i = 0; i < count; ++i) {
    const Activity& activity = plan_.activities[i];
    const int index = static_cast<int>(i);
    if (activity.source == 0) entries_.push_back(index);
    for (int giver : givers[static_cast<size_t>(activity.source)]) waits_[i].push_back({giver, 0});
    givers[static_cast<size_t>(activity.value)].push_back(index);
    Users* from = activity.from_card == kAtHost ? nullptr : &users[static_cast<size_t>(activity.from_card)];
    Users* to = activity.to_card == kAtHost ? nullptr : &users[static_cast<size_t>(activity.to_card)];
    switch (activity.kind) {
      case Activity::Kind::kCompute:
        from->array.push_back(index);
        if (activity.frees_arrival) from->frees_arrival.push_back(index);
        if (activity.takes_departure) from->takes_departure.push_back(index);
        break;
      case Activity::Kind::kMove:
        if (from) from->out.push_back(index);
        if (to) to->in.push_back(index);
        if (activity.takes_arrival) to->takes_arrival.push_back(index);
        if (activity.frees_departure) from->frees_departure.push_back(index);
        break;
      case Activity::Kind::kSoftware:
        // One card's engine brings all that this host turns around: in program order, without a line.
        if (!activity.contended) software[plan_.paths[static_cast<size_t>(activity.first_wire)]].push_back(index);
        break;
      case Activity::Kind::kReturn:
        break;
    }
  }
  for (const auto& [host, turns] : software) AddWaits(turns, turns, 1);
  for (size_t card = 0; card < cards; ++card) {
    const Users& u = users[card];
    for (const auto* line : {&u.array, &u.out, &u.in}) AddWaits(*line, *line, 1);
    AddWaits(u.takes_arrival, u.frees_arrival, slots[card]);
    AddWaits(u.takes_departure, u.frees_departure, slots[card]);
  }
  for (size_t i = 0; i < count; ++i) {
    for (const Wait& wait : waits_[i]) waited_for_by_[static_cast<size_t>(wait.source)].push_back(static_cast<int>(i));
  }
}

// Each taker waits for the giver of the use `slots` before its own; a pass has as many uses as there are takers.
void EventFlow::AddWaits(const std::vector<int>& takers, const std::vector<int>& givers, int64_t slots) {
  if (slots == FramebufferHalf::kUnlimited) return;
  const int64_t uses = static_cast<int64_t>(takers.size());
  for (int64_t use = 0; use < uses; ++use) {
    const int64_t before = (slots - use + uses - 1) / uses;  // passes back, of use - slots; positive or 0
    const int64_t giver = use - slots + before * uses;
    waits_[static_cast<size_t>(takers[static_cast<size_t>(use)])].push_back(
        {givers[static_cast<size_t>(giver)], before});
  }
}

bool EventFlow::MayBegin(const State& state, int activity) const {
  const size_t i = static_cast<size_t>(activity);
  const int64_t pass = state.begun[i];
  if (pass >= state.entered || state.in_line[i]) return false;
  return std::all_of(waits_[i].begin(), waits_[i].end(), [&](const Wait& wait) {
    return state.begun[static_cast<size_t>(wait.source)] > pass - wait.passes_before;
  });
}

void EventFlow::Begin(State& state, int activity) const {
  const size_t i = static_cast<size_t>(activity);
  const int64_t pass = state.begun[i]++;
  state.machine.Begin(plan_.activities[i], PassAt(state, pass));
  --state.to_begin[static_cast<size_t>(pass) % state.passes.size()];
}

void EventFlow::GetInLine(State& state, int activity) const {
  const size_t i = static_cast<size_t>(activity);
  const int64_t pass = state.begun[i];
  state.in_line[i] = true;
  state.line.push_back({state.machine.Ready(plan_.activities[i], PassAt(state, pass)), pass, activity});
  std::push_heap(state.line.begin(), state.line.end(), std::greater<>());
}

// Begins what may begin after `activity` has, as far as nobody has to wait in line.
void EventFlow::BeginFollowers(State& state, int activity) const {
  const auto add = [&](int begun) {
    state.candidates.push_back(begun);  // for the next pass
    const auto& waiting = waited_for_by_[static_cast<size_t>(begun)];
    state.candidates.insert(state.candidates.end(), waiting.begin(), waiting.end());
  };
  add(activity);
  while (!state.candidates.empty()) {
    const int candidate = state.candidates.back();
    state.candidates.pop_back();
    if (BeginOrGetInLine(state, candidate)) add(candidate);
  }
}

// Whether it has begun.
bool EventFlow::BeginOrGetInLine(State& state, int activity) const {
  if (!MayBegin(state, activity)) return false;
  if (plan_.activities[static_cast<size_t>(activity)].contended) {
    GetInLine(state, activity);
    return false;
  }
  Begin(state, activity);
  return true;
}

void EventFlow::ServeFirstInLine(State& state) const {
  LODESTONE_CHECK(!state.line.empty());
  std::pop_heap(state.line.begin(), state.line.end(), std::greater<>());
  const int activity = state.line.back().activity;
  state.line.pop_back();
  state.in_line[static_cast<size_t>(activity)] = false;
  Begin(state, activity);
  BeginFollowers(state, activity);
}

Time EventFlow::RunUntilOldestReturns(State& state) const {
  while (state.begun.back() <= state.left) ServeFirstInLine(state);
  return PassAt(state, state.left).finish();
}

void EventFlow::Enter(Time now, uint64_t id, const Load& load, std::span<const StageCost* const> costs) {
  looked_ahead_ = false;
  if (state_.entered - state_.oldest == static_cast<int64_t>(state_.passes.size())) MakeRoom();
  FlowPass& pass = PassAt(state_, state_.entered);
  state_.to_begin[static_cast<size_t>(state_.entered) % state_.passes.size()] =
      static_cast<int>(plan_.activities.size());
  ++state_.entered;
  state_.machine.Enter(now, id, load, costs, pass);
  for (int entry : entries_) {
    if (BeginOrGetInLine(state_, entry)) BeginFollowers(state_, entry);
  }
}

void EventFlow::MakeRoom() {
  const size_t room = std::max<size_t>(2 * state_.passes.size(), 4);
  std::vector<FlowPass> passes(room, FlowPass(plan_));
  std::vector<int> to_begin(room);
  for (int64_t pass = state_.oldest; pass < state_.entered; ++pass) {
    to_begin[static_cast<size_t>(pass) % room] = state_.to_begin[static_cast<size_t>(pass) % state_.passes.size()];
    passes[static_cast<size_t>(pass) % room] = std::move(PassAt(state_, pass));
  }
  state_.passes = std::move(passes);
  state_.to_begin = std::move(to_begin);
}

Time EventFlow::NextFinish() {
  if (state_.begun.back() > state_.left) return PassAt(state_, state_.left).finish();
  if (!looked_ahead_) {
    ahead_ = state_;
    ahead_.machine.Observe(nullptr);
    RunUntilOldestReturns(ahead_);
    looked_ahead_ = true;
  }
  return PassAt(ahead_, ahead_.left).finish();
}

Time EventFlow::Leave() {
  if (looked_ahead_ && observer_ == nullptr) std::swap(state_, ahead_);
  looked_ahead_ = false;
  const Time finish = RunUntilOldestReturns(state_);
  ++state_.left;
  while (state_.oldest < state_.left &&
         state_.to_begin[static_cast<size_t>(state_.oldest) % state_.passes.size()] == 0) {
    ++state_.oldest;
  }
  return finish;
}

// The machine after all that has entered, if nothing else enters.
FlowState EventFlow::MachineAfterAll() const {
  State rest = state_;
  rest.machine.Observe(nullptr);
  while (!rest.line.empty()) ServeFirstInLine(rest);
  return std::move(rest.machine);
}

void EventFlow::Observe(FlowObserver* observer) {
  observer_ = observer;
  state_.machine.Observe(observer);
}

}  // namespace lodestone
