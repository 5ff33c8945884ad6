// How a piece of the user's input is shown inside a message, or handed to a shell.
#pragma once

#include <string>
#include <string_view>

namespace lodestone {

// 'text' on one line of UTF-8: control characters and bytes that are not UTF-8 as \xNN, at most `max_bytes` bytes of
// it, cut between characters and followed by … where cut. Files may hold terminal escapes, or a megabyte where a word
// is expected.
std::string Quoted(std::string_view text, size_t max_bytes = 80);

// What a POSIX shell takes as this word and nothing else: as it is where that is safe, otherwise in quotes.
std::string ShellQuoted(std::string_view word);

}  // namespace lodestone
