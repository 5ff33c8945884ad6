# The files of catalog/<folder>/ that end in .toml or .csv as string literals of one generated source, so that the program is one file.
#
# Included, it defines lodestone_embed_catalog(SOURCE_VARIABLE). Run as a script (cmake -P) it writes the source; the names
# of the files are part of the command, so that adding, removing or editing one rebuilds it.

if(NOT CMAKE_SCRIPT_MODE_FILE)
  set(LODESTONE_EMBED_SCRIPT ${CMAKE_CURRENT_LIST_FILE})

  # Sets SOURCE_VARIABLE to the generated source, which defines lodestone::CatalogFiles() of base/catalog.h.
  function(lodestone_embed_catalog source_variable)
    set(root ${PROJECT_SOURCE_DIR}/catalog)
    file(GLOB files RELATIVE ${root} CONFIGURE_DEPENDS ${root}/*/*.toml ${root}/*/*.csv)
    list(SORT files)
    set(depends ${files})
    list(TRANSFORM depends PREPEND ${root}/)
    list(JOIN files "|" names)
    set(output ${CMAKE_CURRENT_BINARY_DIR}/catalog_files.cc)
    add_custom_command(OUTPUT ${output}
      COMMAND ${CMAKE_COMMAND} -DROOT=${root} "-DNAMES=${names}" -DOUTPUT=${output} -P ${LODESTONE_EMBED_SCRIPT}
      DEPENDS ${depends} ${LODESTONE_EMBED_SCRIPT}
      COMMENT "Embedding the catalogue" VERBATIM)
    set(${source_variable} ${output} PARENT_SCOPE)
  endfunction()
  return()
endif()

string(REPLACE "|" ";" names "${NAMES}")
set(entries "")
set(count 0)
foreach(name IN LISTS names)
  file(READ ${ROOT}/${name} contents)
  string(FIND "${contents}" ")catalog\"" clash)
  if(NOT clash EQUAL -1)
    message(FATAL_ERROR "catalog/${name}: contains )catalog\", which ends the literal that would hold the file")
  endif()
  string(APPEND entries "    CatalogFile{\"${name}\", R\"catalog(${contents})catalog\"sv},\n")
  math(EXPR count "${count} + 1")
endforeach()
file(WRITE ${OUTPUT} "// Generated from catalog/ by cmake/EmbedCatalog.cmake.
#include <array>

#include \"base/catalog.h\"

namespace lodestone {

std::span<const CatalogFile> CatalogFiles() {
  using namespace std::string_view_literals;
  static constexpr std::array<CatalogFile, ${count}> kFiles{
${entries}  };
  return kFiles;
}

}  // namespace lodestone
")
