#![allow(missing_docs)]
use prost::Message; use super::graph::*; use std::collections::*; use crate::error::*;
#[derive(Clone,PartialEq,Message)] pub struct Model{#[prost(message,optional,tag=7)] g:Option<G>,#[prost(message,repeated,tag=8)] o:Vec<Op>}
#[derive(Clone,PartialEq,Message)] pub struct Op{#[prost(string,tag=1)] d:String,#[prost(int64,tag=2)] v:i64}
#[derive(Clone,PartialEq,Message)] pub struct G{#[prost(message,repeated,tag=1)] node:Vec<N>,#[prost(string,tag=2)] name:String,#[prost(message,repeated,tag=5)] init:Vec<T>,#[prost(message,repeated,tag=11)] input:Vec<V>,#[prost(message,repeated,tag=12)] output:Vec<V>}
#[derive(Clone,PartialEq,Message)] pub struct N{#[prost(string,repeated,tag=1)] input:Vec<String>,#[prost(string,repeated,tag=2)] output:Vec<String>,#[prost(string,tag=3)] name:String,#[prost(string,tag=4)] op:String,#[prost(message,repeated,tag=5)] attr:Vec<A>,#[prost(string,tag=7)] domain:String}
#[derive(Clone,PartialEq,Message)] pub struct A{#[prost(string,tag=1)] name:String,#[prost(float,tag=2)] f:f32,#[prost(int64,tag=3)] i:i64,#[prost(bytes="vec",tag=4)] s:Vec<u8>,#[prost(message,optional,tag=5)] t:Option<T>,#[prost(float,repeated,tag=7)] floats:Vec<f32>,#[prost(int64,repeated,tag=8)] ints:Vec<i64>,#[prost(int32,tag=20)] ty:i32}
#[derive(Clone,PartialEq,Message)] pub struct T{#[prost(int64,repeated,tag=1)] dims:Vec<i64>,#[prost(int32,tag=2)] ty:i32,#[prost(float,repeated,tag=4)] fd:Vec<f32>,#[prost(int64,repeated,tag=7)] id:Vec<i64>,#[prost(string,tag=8)] name:String,#[prost(bytes="vec",tag=9)] raw:Vec<u8>}
#[derive(Clone,PartialEq,Message)] pub struct V{#[prost(string,tag=1)] name:String,#[prost(message,optional,tag=2)] t:Option<Ty>}
#[derive(Clone,PartialEq,Message)] pub struct Ty{#[prost(message,optional,tag=1)] t:Option<TT>}
#[derive(Clone,PartialEq,Message)] pub struct TT{#[prost(int32,tag=1)] e:i32,#[prost(message,optional,tag=2)] s:Option<S>}
#[derive(Clone,PartialEq,Message)] pub struct S{#[prost(message,repeated,tag=1)] d:Vec<D>}
#[derive(Clone,PartialEq,Message)] pub struct D{#[prost(int64,tag=1)] v:i64,#[prost(string,tag=2)] p:String}
fn c(t:&T)->Constant{ let shape=t.dims.iter().map(|&d|d as usize).collect(); let elements=match t.ty{1=>Elements::F32(if t.raw.is_empty(){t.fd.clone().into()}else{t.raw.chunks_exact(4).map(|b|f32::from_le_bytes(b.try_into().unwrap())).collect()}),7=>Elements::I64(if t.raw.is_empty(){t.id.clone().into()}else{t.raw.chunks_exact(8).map(|b|i64::from_le_bytes(b.try_into().unwrap())).collect()}),x=>panic!("{x}")}; Constant{shape,elements}}
#[derive(Default)] pub struct Limits;
pub fn read_file(p:&std::path::Path,_l:&Limits)->Result<Graph>{ let m=Model::decode(&std::fs::read(p).unwrap()[..]).unwrap(); let g0=m.g.unwrap(); let mut g=Graph{opset:m.o[0].v,name:g0.name.clone(),..Default::default()}; let mut ids:HashMap<String,usize>=HashMap::new();
 let mut id=|g:&mut Graph,n:&str|{ *ids.entry(n.into()).or_insert_with(||{g.values.push(n.into());g.values.len()-1})};
 for t in &g0.init{let i=id(&mut g,&t.name);g.constants.insert(i,c(t));}
 for v in &g0.input{let i=id(&mut g,&v.name); if g.constants.contains_key(&i){continue} let tt=v.t.clone().unwrap().t.unwrap(); g.inputs.push(GraphInput{value:i,element:ElementType::F32,shape:tt.s.map(|s|s.d.iter().map(|d|if d.p.is_empty(){InputDim::Fixed(d.v as usize)}else{InputDim::Free(d.p.clone())}).collect())});}
 for n in &g0.node{ if n.op=="Constant"{let i=id(&mut g,&n.output[0]);g.constants.insert(i,c(n.attr[0].t.as_ref().unwrap()));continue}
  let inputs=n.input.iter().map(|x|(!x.is_empty()).then(||id(&mut g,x))).collect(); let outputs=n.output.iter().map(|x|(!x.is_empty()).then(||id(&mut g,x))).collect();
  let attributes=n.attr.iter().map(|a|(a.name.clone(),match a.ty{1=>Attribute::Float(a.f),2=>Attribute::Int(a.i),3=>Attribute::Text(String::from_utf8(a.s.clone()).unwrap()),6=>Attribute::Floats(a.floats.clone()),7=>Attribute::Ints(a.ints.clone()),_=>Attribute::Other("x")})).collect();
  g.nodes.push(Node{name:n.name.clone(),domain:n.domain.clone(),op_type:n.op.clone(),inputs,outputs,attributes}); }
 for v in &g0.output{let i=id(&mut g,&v.name);g.outputs.push(i);}
 Ok(g)}
