#include "lab/peer.h"

#include <fmt/format.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "base/json.h"
#include "base/quote.h"

namespace lodestone {
namespace {

constexpr size_t kMaxOutput = size_t{16} << 20;
constexpr int64_t kMaxCount = int64_t{1} << 40;
constexpr double kMaxRate = 1e15;

// One object of a peer's output becomes one or two rows.
Status AddRows(const Json& object, std::vector<PeerRow>& rows) {
  ObjectReader reader(object, "the peer's output");
  if (reader.Has("speed_tg")) {
    const auto batch = static_cast<int>(reader.RequireInt("pl", 1, 1 << 20));
    const int64_t prompt = reader.RequireInt("pp", 0, kMaxCount), tokens = reader.RequireInt("tg", 0, kMaxCount);
    const double prompt_rate = reader.RequireNumber("speed_pp", 0, kMaxRate);
    const double rate = reader.RequireNumber("speed_tg", 0, kMaxRate);
    LODESTONE_RETURN_IF_ERROR(reader.status());
    if (prompt > 0) rows.push_back({.prompt_tokens = prompt, .batch = batch, .tokens_per_s = prompt_rate});
    if (tokens > 0) rows.push_back({.tokens = tokens, .depth = prompt, .batch = batch, .tokens_per_s = rate});
    return {};
  }
  const PeerRow row{.prompt_tokens = reader.RequireInt("n_prompt", 0, kMaxCount),
                    .tokens = reader.RequireInt("n_gen", 0, kMaxCount),
                    .depth = reader.OptionalInt("n_depth", 0, 0, kMaxCount),
                    .tokens_per_s = reader.RequireNumber("avg_ts", 0, kMaxRate)};
  LODESTONE_RETURN_IF_ERROR(reader.status());
  rows.push_back(row);
  return {};
}

Status AddAll(const Json& json, std::vector<PeerRow>& rows) {
  if (const Json::Array* array = json.as_array()) {
    for (const Json& element : *array) LODESTONE_RETURN_IF_ERROR(AddAll(element, rows));
    return {};
  }
  return json.as_object() != nullptr ? AddRows(json, rows) : Status();
}

struct ClosePipe {
  void operator()(std::FILE* pipe) const { pclose(pipe); }
};

}  // namespace

Result<std::vector<PeerRow>> ParsePeerRows(std::string_view output) {
  std::vector<PeerRow> rows;
  if (const Result<Json> whole = ParseJson(output, "the peer's output"); whole.ok()) {
    LODESTONE_RETURN_IF_ERROR(AddAll(*whole, rows));
  } else {
    for (std::string_view rest = output; !rest.empty();) {
      const size_t end = std::min(rest.find('\n'), rest.size());
      const std::string_view line = rest.substr(0, end);
      rest.remove_prefix(std::min(end + 1, rest.size()));
      if (!line.starts_with('{')) continue;
      LODESTONE_ASSIGN_OR_RETURN(const Json object, ParseJson(line, "a line of the peer's output"));
      LODESTONE_RETURN_IF_ERROR(AddAll(object, rows));
    }
  }
  if (rows.empty()) {
    return Invalid(
        "the peer printed no row: expected the JSON of llama-bench ('-o json') or llama-batched-bench "
        "('--output-format jsonl') on its standard output");
  }
  return rows;
}

Result<std::string> OutputOf(const std::string& command) {
  std::fflush(nullptr);  // the child must not write what is buffered here
  std::unique_ptr<std::FILE, ClosePipe> pipe(popen(command.c_str(), "r"));
  if (pipe == nullptr) return IoError(fmt::format("cannot run {}: {}", Quoted(command), std::strerror(errno)));
  std::string output;
  std::array<char, 65536> buffer;
  while (const size_t got = std::fread(buffer.data(), 1, buffer.size(), pipe.get())) {
    output.append(buffer.data(), got);
    if (output.size() > kMaxOutput) {
      return Invalid(fmt::format("{} printed more than {} MiB", Quoted(command), kMaxOutput >> 20));
    }
  }
  const int status = pclose(pipe.release());
  if (status != 0) {
    return IoError(WIFEXITED(status) ? fmt::format("{} ended with status {}", Quoted(command), WEXITSTATUS(status))
                                     : fmt::format("{} was ended by a signal", Quoted(command)));
  }
  return output;
}

Result<std::vector<PeerRow>> RunPeer(const std::string& command) {
  LODESTONE_ASSIGN_OR_RETURN(const std::string output, OutputOf(command));
  return ParsePeerRows(output);
}

std::optional<double> FindPeerRow(std::span<const PeerRow> rows, int64_t prompt_tokens, int64_t tokens, int64_t depth,
                                  int batch) {
  for (const PeerRow& row : rows) {
    if (row.prompt_tokens == prompt_tokens && row.tokens == tokens && row.depth == depth && row.batch == batch) {
      return row.tokens_per_s;
    }
  }
  return std::nullopt;
}

}  // namespace lodestone
