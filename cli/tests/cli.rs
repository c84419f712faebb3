//! What the commands print: `tests/cli/*.trycmd`, and the examples of the README.

#[test]
fn commands_print_what_their_examples_show() {
    trycmd::TestCases::new()
        .env("NO_COLOR", "1")
        .env("COLUMNS", "100")
        // No adapters: examples show what the processor does.
        .env("WGPU_BACKEND", "gl")
        .case("tests/cli/*.trycmd")
        .case("tests/cli/README.md");
}
