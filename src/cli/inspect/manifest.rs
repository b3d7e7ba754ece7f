//! `inspect --write-manifest`: FILE.toml beside FILE.onnx. What the options do not say is left to be filled in, in such a way that a
//! manifest that is not filled in is refused: preprocessing that is wrong looks plausible.

use std::fs;
use std::path::{Path, PathBuf};

use super::Args;
use crate::cli::options::{Colour, Fit, PerChannel};
use crate::error::{Error, Result};
use crate::network::graph::{Graph, InputDim};
use crate::network::load::{LoadOptions, image_input, load};
use crate::network::manifest::{self, Layout, Manifest};
use crate::network::onnx;
use crate::tensor_file;

/// What a dense output needs.
const CELLS: &str = "\
\n\
[output.cells]\n\
axis = \"fill in: the axis of the channels; N is axis 0\"\n\
classes = \"fill in: the channel of the first class\"\n\
# count = 80  # number of classes; left out: all channels from the first class on\n\
# objectness = 0  # channel that class scores are multiplied by\n";

/// A manifest that was written.
pub struct Written {
    /// Where.
    pub path: PathBuf,
    /// Keys that still have to be filled in.
    pub open: Vec<&'static str>,
}

/// Writes the manifest.
///
/// # Errors
/// Kind::Usage where `--model` is no ONNX file, the manifest is there already, or the options do not fit the network; those of reading
/// the network.
pub fn write(args: &Args) -> Result<Written> {
    let model = Path::new(&args.network.model);
    let name = match (model.extension().and_then(|ending| ending.to_str()), model.file_name().and_then(|name| name.to_str())) {
        (Some("onnx"), Some(name)) => name,
        _ => return Err(Error::usage(format!("--model {}: --write-manifest wants FILE.onnx", args.network.model))),
    };
    let path = model.with_extension("toml");
    if path.exists() && !args.force {
        return Err(Error::usage(format!("{}: is there already; --force replaces it", path.display())));
    }
    let graph = onnx::read_file(model, &onnx::Limits::default())?;
    let size = args.network.input_size.map(|size| (size.height_px, size.width_px));
    let options = LoadOptions { input_size: size, output: args.network.output.clone(), ..LoadOptions::default() };
    let network = load(&graph, &options).map_err(|error| error.at(model.display()))?;
    let &[_, channels, rows, columns] = &network.input_shape()[..] else {
        return Err(Error::data(format!("{}: its input is not of the form (N, C, H, W)", model.display())));
    };
    let colour = colour(args.network.colour, channels).map_err(|error| error.at(model.display()))?;
    let mean = numbers("--mean", args.network.mean.as_ref(), channels)?;
    let std = numbers("--std", args.network.std.as_ref(), channels)?;
    let input = image_input(&graph, &options)?;
    let layout = if input.layout == Layout::Nhwc { "layout = \"nhwc\"\n" } else { "" };
    // A network that takes bytes takes them as they are.
    let (scale, mean, std) = match input.bytes {
        true => ("255.0", mean.or(Some("[0.0]".to_owned())), std.or(Some("[1.0]".to_owned()))),
        false => ("1.0", mean, std),
    };
    let size = if leaves_size_free(&graph) { format!("size = [{columns}, {rows}]\n") } else { String::new() };
    let output = args.network.output.as_ref().map(|output| format!("name = {}\n", quoted(output))).unwrap_or_default();
    let fit = match args.network.fit {
        None | Some(Fit::Stretch) => "stretch",
        Some(Fit::Crop) => "crop",
        Some(Fit::Pad) => "pad",
    };
    // All axes but the channels' are cells; which numbers of a cell are class scores nothing in the file tells.
    let dense = network.output_shape().iter().skip(2).any(|&size| size > 1);
    let cells = if dense { CELLS } else { "" };
    let labels = match &args.labels {
        Some(file) => format!("labels = {}\n", quoted(&labels(file, &path, network.output_shape(), dense)?)),
        None => "# labels = \"labels.txt\"  # a label a line, in index order\n".to_owned(),
    };
    let open: Vec<&str> = [("colour", colour.is_none()), ("mean", mean.is_none()), ("std", std.is_none()), ("output.cells", dense)]
        .iter()
        .filter(|(_, open)| *open)
        .map(|(key, _)| *key)
        .collect();
    let each = if channels == 1 { "[number]" } else { "[number], or [red, green, blue] in the network's order" };
    let text = format!(
        "# How a picture becomes the input of {name}, and what its output means.\n\
         file = {file}\n\
         sha256 = \"{sha256}\"\n\
         # licence = \"the weights' licence\"\n\
         # source = \"where the weights come from\"\n\
         \n\
         [input]\n\
         {size}\
         colour = {colour}\n\
         {layout}\
         scale = {scale}  # white's value before mean and std; 255.0 for networks that want bytes\n\
         mean = {mean}\n\
         std = {std}\n\
         fit = \"{fit}\"  # stretch, crop or pad\n\
         \n\
         [output]\n\
         {output}\
         {labels}\
         {cells}",
        file = quoted(name),
        sha256 = manifest::sha256(model)?,
        colour = quoted(colour.unwrap_or("fill in: rgb or bgr")),
        mean = mean.unwrap_or_else(|| quoted(&format!("fill in: {each}, where white is scale"))),
        std = std.unwrap_or_else(|| quoted(&format!("fill in: {each}, as mean"))),
    );
    if open.is_empty() {
        Manifest::parse(&text)?;
    }
    tensor_file::write_whole(&path, text.as_bytes())?;
    Ok(Written { path, open })
}

/// How the manifest names a file of labels: by its name alone where both lie in one folder.
fn labels(file: &Path, manifest: &Path, output: &[usize], dense: bool) -> Result<String> {
    let unreadable = |error| Error::no_input(format!("--labels {}: cannot be read as text", file.display())).with_source(error);
    let count = fs::read_to_string(file).map_err(unreadable)?.lines().count();
    let classes: usize = output.iter().product();
    if !dense && count != classes {
        return Err(Error::data(format!("--labels {}: has {count} lines, and the network {classes} classes", file.display())));
    }
    let whole = fs::canonicalize(file).map_err(unreadable)?;
    let folder = manifest.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let beside = fs::canonicalize(folder).is_ok_and(|folder| whole.parent() == Some(&folder));
    let name = if beside { whole.file_name().map(Path::new).unwrap_or(&whole) } else { &whole };
    name.to_str().map(str::to_owned).ok_or_else(|| Error::usage(format!("--labels {}: the name is not UTF-8", file.display())))
}

/// The colour order's name; `None` where the network leaves a choice that nobody has made.
fn colour(asked: Option<Colour>, channels: usize) -> Result<Option<&'static str>> {
    match (asked, channels) {
        (None | Some(Colour::Grey), 1) => Ok(Some("grey")),
        (None, 3) => Ok(None),
        (Some(Colour::Rgb), 3) => Ok(Some("rgb")),
        (Some(Colour::Bgr), 3) => Ok(Some("bgr")),
        (_, 1 | 3) => Err(Error::usage(format!("the network takes {channels} channels, which --colour does not give"))),
        _ => Err(Error::data(format!("the network takes {channels} channels; a picture gives 3, or 1"))),
    }
}

/// One number or one a channel, as TOML.
fn numbers(option: &str, given: Option<&PerChannel>, channels: usize) -> Result<Option<String>> {
    match given {
        Some(PerChannel(values)) if values.len() != 1 && values.len() != channels => {
            Err(Error::usage(format!("{option} has {} numbers, the network takes {channels} channels", values.len())))
        }
        Some(PerChannel(values)) => Ok(Some(format!("{values:?}"))),
        None => Ok(None),
    }
}

fn leaves_size_free(graph: &Graph) -> bool {
    let shape = graph.inputs.first().and_then(|input| input.shape.as_deref());
    // The channels are never free, wherever they stand.
    shape.is_some_and(|shape| shape.iter().skip(1).any(|dim| matches!(dim, InputDim::Free(_))))
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}
