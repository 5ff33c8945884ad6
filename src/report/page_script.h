// The one script of the pages: a reader without it has every figure and every note, only less conveniently.
//
// With it, tables of class "live" sort by their headings and are filtered, together with the marks of the drawings, by
// what is typed above the first of them; the notes of marks show at once, under the pointer and at the keyboard, where
// the arrow keys go from mark to mark.
#pragma once

#include <string_view>

namespace lodestone {

std::string_view PageScript();

// "sha256-…" of the script's bytes, base64: what a page's content security policy lets run, and nothing else.
std::string_view PageScriptHash();

// Styles of what the script adds.
std::string_view PageScriptStyle();

}  // namespace lodestone
