//! Where the time of FullGrad goes, stage by stage: cargo run --release --example profile -- NETWORK.onnx [f32|bf16] [IMAGES]
//!
//! One thread; milliseconds for the whole batch; the least of 20 rounds.

#![allow(clippy::print_stdout)] // the table is what it is for

use std::env;
use std::error::Error;
use std::path::Path;
use std::time::Duration;

use gradcast::network::load::{LoadOptions, load};
use gradcast::network::onnx::{self, Limits};
use gradcast::network::op::Place;
use gradcast::network::plan::Plan;
use gradcast::process;
use gradcast::saliency::{Explainer, Rescale, Target};
use tch::{Device, Kind, Tensor};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let path = arguments.first().ok_or("the network's file is missing")?;
    let kind = if arguments.get(1).is_some_and(|name| name == "bf16") { Kind::BFloat16 } else { Kind::Float };
    let images: i64 = arguments.get(2).map_or(Ok(4), |text| text.parse())?;
    process::keep_pages();
    tch::set_num_threads(1);
    let network = load(&onnx::read_file(Path::new(path), &Limits::default())?, &LoadOptions::default())?;
    let mut size: Vec<i64> = network.input_shape().iter().map(|&size| size as i64).collect();
    size[0] = images;
    let x = Tensor::f_randn(size, (Kind::Float, Device::Cpu))?;
    let explainer = Explainer::new(Plan::new(&network, Place { device: Device::Cpu, kind })?, Rescale::Node);
    let times = explainer.profile(&x, 20)?;
    let mut whole = Duration::MAX;
    for _ in 0..20 {
        let explanation = explainer.explain(&x, &mut |_| Ok(Target::Argmax))?;
        whole = whole.min(explanation.timing.forward + explanation.timing.adjoint);
    }
    let ms = |seconds: f64| seconds * 1e3;
    let (mut forward, mut adjoint) = (0.0, 0.0);
    println!("{:>9} {:>9}  stage", "forward", "adjoint");
    for time in &times {
        println!("{:9.3} {:9.3}  {}", ms(time.forward.as_secs_f64()), ms(time.adjoint.as_secs_f64()), time.label);
        forward += time.forward.as_secs_f64();
        adjoint += time.adjoint.as_secs_f64();
    }
    println!("{:9.3} {:9.3}  all, of {images} images", ms(forward), ms(adjoint));
    println!("{:9.3} ms, a whole explanation of them", ms(whole.as_secs_f64()));
    Ok(())
}
