#include "cli/command.h"

int main(int argc, char** argv) { return lodestone::cli::Main({argv + (argc > 0 ? 1 : 0), argv + argc}); }
