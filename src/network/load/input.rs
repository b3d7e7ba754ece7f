//! The graph's input and output.

use super::{LoadOptions, elements};
use crate::error::{Error, Result};
use crate::network::graph::{ElementType, Graph, GraphInput, InputDim, ValueId};
use crate::network::manifest::Layout;
use crate::network::op::Shape;

/// Rows and columns of pictures; less than that is no picture whose layout could be told from its sizes.
const LEAST_SIDE: usize = 8;

/// The input that takes the picture.
pub struct ImageInput<'a> {
    /// As the file has it.
    pub input: &'a GraphInput,
    /// (1, C, H, W), whatever the file's layout.
    pub shape: Shape,
    /// The file's layout.
    pub layout: Layout,
    /// True where the file wants bytes.
    pub bytes: bool,
}

/// The graph's only input.
///
/// # Errors
/// Kind::Data where it is not the only one, does not hold numbers, is not of four axes, or has a size that is free or none.
pub fn image_input<'a>(graph: &'a Graph, options: &LoadOptions) -> Result<ImageInput<'a>> {
    let number = |input: &&GraphInput| {
        matches!(input.element, ElementType::F32 | ElementType::F64 | ElementType::F16 | ElementType::Bf16 | ElementType::U8)
    };
    let numbers: Vec<&GraphInput> = graph.inputs.iter().filter(number).collect();
    let input = match numbers[..] {
        [input] if graph.inputs.len() == 1 => input,
        [] => return Err(Error::data("the network has no floating-point input; a network that takes an image tensor is expected")),
        _ => {
            let names: Vec<&str> = graph.inputs.iter().map(|input| graph.values[input.value].as_str()).collect();
            return Err(Error::data(format!("the network has {} inputs ({}); one is expected", names.len(), names.join(", "))));
        }
    };
    let name = &graph.values[input.value];
    let Some([batch, one, two, three]) = input.shape.as_deref() else {
        return Err(Error::data(format!("input {name:?} is not of four axes (N, C, H, W)")));
    };
    let layout = options.layout.unwrap_or_else(|| layout_of([one, two, three]));
    let (channels, rows, columns) = match layout {
        Layout::Nchw => (one, two, three),
        Layout::Nhwc => (three, one, two),
    };
    if let InputDim::Fixed(0) = batch {
        return Err(Error::data(format!("input {name:?} has a batch of zero")));
    }
    let channels = match channels {
        InputDim::Fixed(0) => return Err(Error::data(format!("input {name:?} has zero channels"))),
        InputDim::Fixed(channels) => *channels,
        InputDim::Free(_) => {
            return Err(Error::data(format!(
                "input {name:?} leaves its number of channels free; export the network with as many as it was trained with"
            )));
        }
    };
    let size = |dim: &InputDim, asked: Option<usize>, what: &str| match (dim, asked) {
        (InputDim::Fixed(size), Some(asked)) if *size != asked => {
            Err(Error::data(format!("input {name:?} has {size} {what}, {asked} are asked for")))
        }
        (InputDim::Fixed(0), _) | (InputDim::Free(_), Some(0)) => Err(Error::data(format!("input {name:?} has zero {what}"))),
        (InputDim::Fixed(size), _) => Ok(*size),
        (InputDim::Free(_), Some(size)) => Ok(size),
        (InputDim::Free(_), None) => {
            Err(Error::data(format!("input {name:?} leaves its {what} free; give --input-size or the manifest's input.size")))
        }
    };
    let asked = options.input_size;
    let shape = vec![1, channels, size(rows, asked.map(|s| s.0), "rows")?, size(columns, asked.map(|s| s.1), "columns")?];
    elements(&shape).map_err(|message| Error::data(format!("input {name:?} {message}")))?;
    Ok(ImageInput { input, shape, layout, bytes: input.element == ElementType::U8 })
}

/// The layout that the sizes behind the batch tell: channels last where the last is 1 or 3 and the others are sides of a picture.
pub fn layout_of(axes: [&InputDim; 3]) -> Layout {
    let side = |dim: &InputDim| match dim {
        InputDim::Fixed(size) => *size >= LEAST_SIDE,
        InputDim::Free(_) => true,
    };
    match axes {
        [one, two, InputDim::Fixed(1 | 3)] if side(one) && side(two) => Layout::Nhwc,
        _ => Layout::Nchw,
    }
}

pub fn chosen_output(graph: &Graph, options: &LoadOptions) -> Result<ValueId> {
    let names = || graph.outputs.iter().map(|&id| graph.values[id].as_str()).collect::<Vec<_>>().join(", ");
    match (&options.output, &graph.outputs[..]) {
        (None, [output]) => Ok(*output),
        (None, []) => Err(Error::data("the network has no output")),
        (None, _) => Err(Error::data(format!("the network has several outputs ({}); choose one with --output", names()))),
        (Some(name), outputs) => outputs
            .iter()
            .copied()
            .find(|&id| graph.values[id] == *name)
            .ok_or_else(|| Error::data(format!("the network has no output {name:?}; it has {}", names()))),
    }
}
