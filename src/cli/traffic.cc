#include "lab/traffic.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/file.h"
#include "base/quote.h"
#include "cli/command.h"
#include "cli/layout.h"
#include "cli/output.h"
#include "cli/power.h"
#include "cli/simulate.h"
#include "lab/timeline_trace.h"

namespace lodestone::cli {
namespace {

// "256", or "64:1024": every length between the two as likely as another.
Result<LengthRange> ParseRange(const std::string& option, const std::string& text) {
  const auto number = [](std::string_view word, int64_t& value) {
    const auto [stop, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    return error == std::errc() && stop == word.data() + word.size();
  };
  const size_t colon = std::min(text.find(':'), text.size());
  const std::string_view low = std::string_view(text).substr(0, colon);
  const std::string_view high = colon < text.size() ? std::string_view(text).substr(colon + 1) : low;
  LengthRange range;
  if (!number(low, range.low) || !number(high, range.high) || range.low < 1 || range.high < range.low ||
      range.high > kMaxArrivalTokens) {
    return Invalid(
        fmt::format("{} is {}, expected a number of tokens such as 256, or a range such as 64:1024, at most {}", option,
                    Quoted(text), kMaxArrivalTokens));
  }
  return range;
}

class TrafficCommand final : public Command {
 public:
  CommandLine Line() override {
    RunOptions& run = options_.run;
    Option appliance =
        ApplianceOption(run, "The simulated cards: a name that 'lodestone hardware' lists, or a TOML file.");
    appliance.value = "NAME|FILE";
    appliance.required = true;
    return {
        .name = "traffic",
        .summary = "Requests that arrive over time on simulated cards: what users would wait for.",
        .details =
            "Continuous batching by the engine itself on a virtual clock: users join and leave between passes. "
            "Arrivals are a seeded Poisson process, or a file of arrival_s, prompt_tokens, output_tokens as CSV or as "
            "JSON lines. One instance of the model; what it rests on is listed by 'lodestone simulate'.",
        .options =
            {ModelOption(run, false),
             appliance,
             RecipeOption(run),
             UsersOption(
                 run, "Users whose longest context the KV memory holds (default: as many as fit, at most two a card)."),
             {.name = "--seats",
              .value = "N",
              .help = "Requests admitted together (default: the users). More than the users share the same memory.",
              .target = &seats_,
              .min = 1,
              .max = kMaxUsers},
             MicroBatchesOption(run),
             PrefillChunkOption(run),
             {.name = "--transfers",
              .value = "direct|host",
              .help = "From card to card, or through host memory (default direct).",
              .target = &options_.transfers},
             {.name = "--arrivals",
              .value = "FILE",
              .help = "A trace: CSV with a header line, or JSON lines. Instead of the five options below.",
              .target = &file_},
             {.name = "--rate",
              .value = "R",
              .help = "Requests a second, on average (default 10).",
              .target = &rate_,
              .min = 1e-6,
              .max = 1e9},
             {.name = "--requests",
              .value = "N",
              .help = "How many (default 200).",
              .target = &requests_,
              .min = 1,
              .max = static_cast<double>(kMaxArrivals)},
             {.name = "--prompt-tokens",
              .value = "P|LOW:HIGH",
              .help = "Length of a prompt, or a range in which every length is as likely (default 64:1024).",
              .target = &prompt_tokens_},
             {.name = "--tokens",
              .value = "T|LOW:HIGH",
              .help = "Length of an output, in the same way (default 64:512).",
              .target = &tokens_},
             {.name = "--seed",
              .value = "S",
              .help = "Of the arrivals and lengths (default 0).",
              .target = &seed_,
              .min = 0,
              .max = 9e15},
             Goal("--goal-ttft-ms", "Time to first token", goals_.ttft_ms),
             Goal("--goal-tpot-ms", "Time per output token", goals_.tpot_ms),
             Goal("--goal-e2el-ms", "Time from arrival to last token", goals_.e2el_ms),
             {.name = "--trace",
              .value = "FILE",
              .help = "A timeline of cards, transfers and host, which Perfetto and chrome://tracing open.",
              .target = &trace_,
              .writes = true},
             {.name = "--json",
              .value = "",
              .help = "The result as JSON, keys as 'vllm bench serve' writes them.",
              .target = &run.json}},
        .examples = {{"ten requests a second to the cards of the NorthPole paper",
                      "lodestone traffic --model granite-3b-14l --appliance northpole-16 --recipe w4a4 --rate 10"},
                     {"a trace of one's own, and how many requests kept two limits",
                      "lodestone traffic --model granite-3.3-8b --appliance northpole-288 --recipe w4a8c8 \\\n"
                      "    --arrivals requests.csv --goal-ttft-ms 200 --goal-tpot-ms 50"}}};
  }

  Status Run() override {
    LODESTONE_ASSIGN_OR_RETURN(const std::vector<Arrival> arrivals, Arrivals());
    LODESTONE_ASSIGN_OR_RETURN(const int users, Users(arrivals));
    options_.run.users = users;
    TrafficOptions traffic{.machine = {}, .seats = static_cast<int>(seats_.value_or(0)), .goals = goals_};
    LODESTONE_ASSIGN_OR_RETURN(traffic.machine, SettingOf(options_));
    LODESTONE_ASSIGN_OR_RETURN(traffic.machine, MachineFor(traffic, arrivals));

    std::string text;
    std::unique_ptr<TimelineTrace> timeline;
    if (trace_) {
      LODESTONE_ASSIGN_OR_RETURN(timeline,
                                 TimelineTrace::Open(traffic.machine, [&](std::string_view piece) { text += piece; }));
    }
    LODESTONE_ASSIGN_OR_RETURN(const TrafficResult result, RunTraffic(traffic, arrivals, timeline.get()));
    if (timeline) {
      timeline->Finish();
      LODESTONE_RETURN_IF_ERROR(WriteFileAtomically(*trace_, text));
    }
    if (options_.run.json) {
      PrintJson(ToJson(result));
      return {};
    }
    Print(fmt::format("{} · {} · on {} cards of {}\n{}, KV memory for {} at {} positions\n\n",
                      traffic.machine.config.name, traffic.machine.recipe.name, result.cards, options_.run.appliance,
                      Counted(result.requests, "request"), Counted(users, "user"),
                      traffic.machine.prompt_tokens + traffic.machine.output_tokens));
    Print(RenderTraffic(result));
    return {};
  }

 private:
  static Option Goal(const char* name, const char* what, std::optional<double>& target) {
    return {.name = name,
            .value = "MS",
            .help = fmt::format("{} that a good request keeps at most; goodput counts those.", what),
            .target = &target,
            .min = 1e-6,
            .max = 1e12};
  }

  Result<std::vector<Arrival>> Arrivals() const {
    if (file_) {
      if (rate_ || requests_ || !prompt_tokens_.empty() || !tokens_.empty() || seed_) {
        return Invalid(
            "--arrivals brings times and lengths: drop --rate, --requests, --prompt-tokens, --tokens, --seed");
      }
      return ReadArrivals(*file_);
    }
    PoissonProcess process;
    process.requests_per_s = rate_.value_or(10);
    process.requests = requests_.value_or(200);
    process.seed = static_cast<uint64_t>(seed_.value_or(0));
    LODESTONE_ASSIGN_OR_RETURN(process.prompt_tokens,
                               ParseRange("--prompt-tokens", prompt_tokens_.empty() ? "64:1024" : prompt_tokens_));
    LODESTONE_ASSIGN_OR_RETURN(process.output_tokens, ParseRange("--tokens", tokens_.empty() ? "64:512" : tokens_));
    return PoissonArrivals(process);
  }

  // As given, or as many as the memory holds beside one another where the model lies as it does for one.
  Result<int> Users(const std::vector<Arrival>& arrivals) const {
    if (options_.run.users) return static_cast<int>(*options_.run.users);
    TrafficOptions one;
    LODESTONE_ASSIGN_OR_RETURN(one.machine, SettingOf(options_));
    LODESTONE_ASSIGN_OR_RETURN(const SimulationOptions machine, MachineFor(one, arrivals));
    return std::clamp(machine.placement->max_users, 1, machine.placement->cards_used * 2);
  }

  SimulateOptions options_;
  Goals goals_;
  std::optional<int64_t> seats_, requests_, seed_;
  std::optional<double> rate_;
  std::string prompt_tokens_, tokens_;
  std::optional<std::string> file_, trace_;
};

}  // namespace

std::unique_ptr<Command> MakeTraffic() { return std::make_unique<TrafficCommand>(); }

}  // namespace lodestone::cli
