# Writes OUTPUT with the version and the commit of ROOT, empty where ROOT is no repository (cmake -P).
set(commit "")
if(GIT)
  execute_process(COMMAND ${GIT} rev-parse --short=12 HEAD WORKING_DIRECTORY ${ROOT}
    OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
  if(failed)
    set(commit "")
  endif()
endif()
file(WRITE ${OUTPUT} "#define LODESTONE_VERSION \"${VERSION}\"\n#define LODESTONE_COMMIT \"${commit}\"\n")
