//! docs/operators.md is made from the code. After a wanted change: `GRADCAST_UPDATE_SNAPSHOTS=1 cargo test --test operators`.

use std::env;
use std::fs;
use std::path::Path;

use gradcast::network::ops::ONNX;

const HEAD: &str = "\
# Operators

<!-- Made from the code: GRADCAST_UPDATE_SNAPSHOTS=1 cargo test --test operators -->

ONNX operators that a network may be made of: each has rules for forward pass, adjoint and bias. `gradcast inspect --ops` prints the same
list. A network with another operator is refused when it is loaded, by the node's name, and so is an attribute that an operator's rules
do not know. Arithmetic on shapes and on constants is folded when a network is loaded and needs no rules; an `If` is decided then, and a
QuantizeLinear with its DequantizeLinear is read as a Clip.

| operator | its definition |
|---|---|
";

#[test]
fn the_document_lists_what_the_code_has() {
    let names: Vec<&str> = ONNX.iter().map(|(name, _)| *name).collect();
    assert!(names.is_sorted_by(|a, b| a < b), "names are sorted, and each stands once: {names:?}");
    let rows: String =
        names.iter().map(|name| format!("| {name} | [ONNX](https://onnx.ai/onnx/operators/onnx__{name}.html) |\n")).collect();
    let document = format!("{HEAD}{rows}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operators.md");
    if env::var_os("GRADCAST_UPDATE_SNAPSHOTS").is_some() {
        fs::write(&path, &document).expect("docs can be written");
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == document, "docs/operators.md is not what the code has; GRADCAST_UPDATE_SNAPSHOTS=1 cargo test --test operators");
}
