// What cannot be written out as values is refused by name.
// RUN: headrace-opt %s --aten-functionalize --split-input-file --verify-diagnostics

func.func @overlap(%x: tensor<4x1xf32>, %v: tensor<4x8xf32>) -> tensor<4x1xf32> {
  %0 = aten.call "aten.relu.default"(%x) [#aten.value<0>] : (tensor<4x1xf32>) -> tensor<4x1xf32>
  %e = aten.call "aten.expand.default"(%0) [#aten.value<0>, [4, 8], false] : (tensor<4x1xf32>) -> tensor<4x8xf32, #aten.layout<dims = ["4", "8"], strides = ["1", "0"]>>
  // expected-error @+1 {{writes to a view whose elements overlap, which is not supported}}
  %1 = aten.call "aten.copy_.default"(%e, %v) [#aten.value<0>, #aten.value<1>, false] : (tensor<4x8xf32, #aten.layout<dims = ["4", "8"], strides = ["1", "0"]>>, tensor<4x8xf32>) -> tensor<4x8xf32, #aten.layout<dims = ["4", "8"], strides = ["1", "0"]>>
  return %0 : tensor<4x1xf32>
}

// -----

func.func @reinterpretation(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = aten.call "aten.relu.default"(%x) [#aten.value<0>] : (tensor<4xf32>) -> tensor<4xf32>
  %i = aten.call "aten.view.dtype"(%0) [#aten.value<0>, i32] : (tensor<4xf32>) -> tensor<4xi32>
  // expected-error @+1 {{writes through 'aten.view.dtype', which is not supported}}
  %1 = aten.call "aten.add_.Tensor"(%i) [#aten.value<0>, 1, 1] : (tensor<4xi32>) -> tensor<4xi32>
  return %0 : tensor<4xf32>
}

// -----

func.func @shape_in_place(%x: tensor<1x4xf32>) -> tensor<4xf32> {
  %0 = aten.call "aten.relu.default"(%x) [#aten.value<0>] : (tensor<1x4xf32>) -> tensor<1x4xf32>
  // expected-error @+1 {{operator 'aten.squeeze_.dim' changes the shape of a tensor in place, which is not supported}}
  %1 = aten.call "aten.squeeze_.dim"(%0) [#aten.value<0>, 0] : (tensor<1x4xf32>) -> tensor<4xf32>
  return %1 : tensor<4xf32>
}

// -----

// `einsum` of one operand may be a view of it: eager decides.
func.func @unclear(%x: tensor<4x4xf32>) -> tensor<4x4xf32> {
  %0 = aten.call "aten.relu.default"(%x) [#aten.value<0>] : (tensor<4x4xf32>) -> tensor<4x4xf32>
  %e = aten.call "aten.einsum.default"(%0) ["ij->ji", [#aten.value<0>], #aten.none] : (tensor<4x4xf32>) -> tensor<4x4xf32, #aten.layout<dims = ["4", "4"], strides = ["1", "4"]>>
  %1 = aten.call "aten.add_.Tensor"(%0) [#aten.value<0>, 1, 1] : (tensor<4x4xf32>) -> tensor<4x4xf32>
  // expected-error @+1 {{reads a tensor that}}
  %2 = aten.call "aten.neg.default"(%e) [#aten.value<0>] : (tensor<4x4xf32, #aten.layout<dims = ["4", "4"], strides = ["1", "4"]>>) -> tensor<4x4xf32>
  return %2 : tensor<4x4xf32>
}

// -----

func.func @in_subgraph(%p: tensor<i1>, %x: tensor<4xf32>) -> tensor<4xf32> {
  %r = aten.region_call "cond"(%p, %x) [#aten.value<0>, #aten.region<0>, [#aten.value<1>]] {
  ^bb0(%a: tensor<4xf32>):
    // expected-error @+1 {{operator 'aten.add_.Tensor' writes in place inside 'cond', which is not supported}}
    %b = aten.call "aten.add_.Tensor"(%a) [#aten.value<0>, 1, 1] : (tensor<4xf32>) -> tensor<4xf32>
    aten.yield %b : tensor<4xf32>
  } : (tensor<i1>, tensor<4xf32>) -> tensor<4xf32>
  return %r : tensor<4xf32>
}

// -----

func.func @running_statistics(%x: tensor<2x3x4x4xf32>, %m: tensor<3xf32>, %v: tensor<3xf32>) -> tensor<2x3x4x4xf32> {
  // expected-error @+1 {{operator 'aten.batch_norm.default' updates its running statistics, which is not supported; export the module in eval mode}}
  %0 = aten.call "aten.batch_norm.default"(%x, %m, %v) [#aten.value<0>, #aten.none, #aten.none, #aten.value<1>, #aten.value<2>, true, 0.1, 1.0e-5, true] : (tensor<2x3x4x4xf32>, tensor<3xf32>, tensor<3xf32>) -> tensor<2x3x4x4xf32>
  return %0 : tensor<2x3x4x4xf32>
}
