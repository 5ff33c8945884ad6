#include <fmt/format.h>

#include "base/file.h"
#include "cli/command.h"
#include "cli/output.h"
#include "lab/validate/validation.h"

namespace lodestone::cli {
namespace {

class ValidateCommand final : public Command {
 public:
  CommandLine Line() override {
    return {
        .name = "validate",
        .summary = "How far estimates are from what others published, row by row.",
        .details =
            "Every published row of inference that the estimator can model is estimated: error by machine, stack "
            "and model, and each machine as if nobody had measured it. Rows that cannot be modelled are counted by "
            "reason. --calibrate fits the factors of machines and stacks on these rows and writes the file that "
            "the catalogue holds; validate then reads it from the next build.",
        .options = {{.name = "--markdown", .value = "FILE", .help = "Write docs/accuracy.md.", .target = &markdown_},
                    {.name = "--calibrate",
                     .value = "FILE",
                     .help = "Fit the factors and write them (catalog/hardware/calibration.toml).",
                     .target = &calibrate_},
                    {.name = "--json", .value = "", .help = "Print the results as JSON.", .target = &json_}},
        .examples = {{"errors by machine, stack and model", "lodestone validate"},
                     {"the document of the project", "lodestone validate --markdown docs/accuracy.md"}}};
  }

  Status Run() override {
    if (calibrate_) {
      LODESTONE_ASSIGN_OR_RETURN(const std::span<const PublishedRow> rows, CatalogPublishedRows());
      LODESTONE_ASSIGN_OR_RETURN(const CaseList list, CasesOf(rows));
      LODESTONE_ASSIGN_OR_RETURN(const std::vector<CalibratedEntry> entries, Calibrate(list.cases));
      return WriteFileAtomically(*calibrate_, CalibrationToml(entries));
    }
    LODESTONE_ASSIGN_OR_RETURN(const Validation validation, Validate());
    if (markdown_) LODESTONE_RETURN_IF_ERROR(WriteFileAtomically(*markdown_, ValidationMarkdown(validation)));
    if (json_) {
      PrintJson(ValidationJson(validation));
    } else if (!markdown_) {
      Print(ValidationText(validation));
    }
    return {};
  }

 private:
  std::optional<std::string> markdown_, calibrate_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeValidate() { return std::make_unique<ValidateCommand>(); }

}  // namespace lodestone::cli
