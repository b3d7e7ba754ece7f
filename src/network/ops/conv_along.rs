//! Conv over one axis, (N, C, L): the convolution of two axes with one row.
//!
//! Linear in x up to the bias. What it makes has no place in a picture: the spatial rule ends here.

use tch::Tensor;

use super::{Conv, Read};
use crate::error::Result;
use crate::network::graph::{Attribute, Constant};
use crate::network::op::{Forward, Gradient, Keeps, Kernel, Operator, Place, Saved, Shape, Spatial};
use crate::network::reading::{Operand, Reading};

/// A one-dimensional convolution.
#[derive(Debug, Clone)]
pub struct ConvAlong {
    /// Of (N, C, 1, L).
    pub conv: Conv,
}

/// Reads an ONNX Conv.
pub fn read(reading: &Reading) -> Result<Read, String> {
    if reading.activation(0)?.len() == 3 && reading.weights(1)?.shape.len() == 3 {
        return Ok(Read::Op(ConvAlong::read(reading)?.into()));
    }
    Ok(Read::Op(Conv::read(reading)?.into()))
}

fn with_row(shape: &[usize]) -> Shape {
    let (lead, last) = shape.split_at(shape.len() - 1);
    [lead, &[1], last].concat()
}

impl ConvAlong {
    fn read(reading: &Reading) -> Result<Self, String> {
        let (input, weight) = (with_row(reading.activation(0)?), reading.weights(1)?);
        let weight = Constant { shape: with_row(&weight.shape), elements: weight.elements.clone() };
        let mut node = reading.node.clone();
        // Of one row, steps are of one and there is no border.
        for (name, row) in [("kernel_shape", vec![1]), ("strides", vec![1]), ("dilations", vec![1]), ("pads", vec![0, 0])] {
            if let Some(Attribute::Ints(values)) = node.attributes.get_mut(name) {
                if values.len() != row.len() {
                    return Err(format!("attribute {name} is {values:?} for a convolution over one axis"));
                }
                *values = values.iter().zip(&row).flat_map(|(&value, &row)| [row, value]).collect();
            }
        }
        let mut operands = reading.operands.clone();
        operands[0] = Operand::Activation(&input);
        operands[1] = Operand::Constant(&weight);
        let reading = Reading { node: &node, operands, opset: reading.opset, fixed_batch: reading.fixed_batch };
        Ok(ConvAlong { conv: Conv::read(&reading)? })
    }
}

impl Operator for ConvAlong {
    fn name(&self) -> &'static str {
        "ConvAlong"
    }

    fn shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Shape>, String> {
        let &[input @ &[_, _, _]] = inputs else { return Err("one input (N, C, L) is expected".to_owned()) };
        let mut shapes = self.conv.shapes(&[&with_row(input)])?;
        shapes.iter_mut().for_each(|shape| {
            shape.remove(2);
        });
        Ok(shapes)
    }

    fn spatial(&self) -> Spatial {
        Spatial::Ends
    }

    fn parameters(&self) -> usize {
        self.conv.parameters()
    }

    fn macs(&self, _inputs: &[&[usize]], outputs: &[Shape]) -> u64 {
        self.conv.macs(&[], &[with_row(&outputs[0])])
    }

    fn has_bias(&self) -> bool {
        self.conv.has_bias()
    }

    fn kernel(&self, place: Place, inputs: &[&[usize]]) -> Result<Box<dyn Kernel>> {
        Ok(Box::new(ConvAlongKernel(self.conv.kernel(place, &[&with_row(inputs[0])])?)))
    }
}

struct ConvAlongKernel(Box<dyn Kernel>);

impl Kernel for ConvAlongKernel {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Forward> {
        let made = self.0.forward(&[&inputs[0].f_unsqueeze(2)?])?;
        Ok(Forward { outputs: made.outputs.iter().map(|y| y.f_squeeze_dim(2)).collect::<Result<_, _>>()?, extra: made.extra })
    }

    fn keeps(&self) -> Keeps {
        self.0.keeps()
    }

    fn adjoint(&self, saved: &Saved, grad_out: Vec<Option<Gradient>>) -> Result<Vec<Option<Gradient>>> {
        let [Some(grad)] = &grad_out[..] else { return Ok(vec![None]) };
        let wide = Gradient { tensor: grad.tensor.f_unsqueeze(2)?, shared: grad.shared };
        let back = self.0.adjoint(saved, vec![Some(wide)])?;
        let narrow = |grad: Gradient| Ok(Gradient { tensor: grad.tensor.f_squeeze_dim(2)?, shared: grad.shared });
        back.into_iter().map(|grad| grad.map(narrow).transpose()).collect()
    }

    fn bias(&self, saved: &Saved) -> Result<Option<Tensor>> {
        Ok(self.0.bias(saved)?.map(|bias| bias.f_squeeze_dim(2)).transpose()?)
    }
}
