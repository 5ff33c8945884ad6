// The one logger: a line on standard error. Results go to standard output; everything else goes here.
#pragma once

#include <string_view>

namespace lodestone {

enum class LogLevel { kQuiet, kError, kWarning, kInfo, kDebug };

// Lines above the level are dropped. Default kWarning; LODESTONE_LOG=quiet|error|warning|info|debug overrides.
void SetLogLevel(LogLevel level);
LogLevel CurrentLogLevel();
// Thread-safe; writes "lodestone: warning: MESSAGE\n" in one call.
void Log(LogLevel level, std::string_view message);

}  // namespace lodestone
