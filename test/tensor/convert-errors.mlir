// What cannot be converted is said all at once, with the user's line.
// RUN: headrace-opt %s --split-input-file --aten-convert-to-tensor --verify-diagnostics

func.func @no_entry(%x: tensor<8xf32>) -> tensor<8xf32> {
  // expected-error @+1 {{unsupported operator aten.lgamma.default (1 use}}
  %0 = aten.call "aten.lgamma.default"(%x) [#aten.value<0>] : (tensor<8xf32>) -> tensor<8xf32>
  return %0 : tensor<8xf32>
}

// -----

// Several are one error with a note for each, counted.
func.func @several(%x: tensor<8xf32>, %m: tensor<8xi1>) -> tensor<8xf32> {
  // expected-error @+2 {{2 unsupported operators or uses of operators}}
  // expected-note @+1 {{unsupported operator aten.lgamma.default (2 uses, first}}
  %0 = aten.call "aten.lgamma.default"(%x) [#aten.value<0>] : (tensor<8xf32>) -> tensor<8xf32>
  %1 = aten.call "aten.lgamma.default"(%0) [#aten.value<0>] : (tensor<8xf32>) -> tensor<8xf32>
  // expected-note @+1 {{unsupported operator aten.digamma.default (1 use}}
  %2 = aten.call "aten.digamma.default"(%1) [#aten.value<0>] : (tensor<8xf32>) -> tensor<8xf32>
  return %2 : tensor<8xf32>
}

// -----

func.func @mask_as_index(%x: tensor<8xf32>, %m: tensor<8xi1>) -> tensor<?xf32, #aten.layout<dims = ["u0"]>> {
  // expected-error-re @+1 {{unsupported use of operator aten.index.Tensor (1 use at {{.+}}): a mask as index selects as many elements as it has true ones: the result's shape depends on data}}
  %0 = aten.call "aten.index.Tensor"(%x, %m) [#aten.value<0>, [#aten.value<1>]] : (tensor<8xf32>, tensor<8xi1>) -> tensor<?xf32, #aten.layout<dims = ["u0"]>>
  return %0 : tensor<?xf32, #aten.layout<dims = ["u0"]>>
}

// -----

func.func @random_dropout(%x: tensor<8xf32>) -> tensor<8xf32> {
  // expected-error @+1 {{it draws random numbers; call model.eval() before export}}
  %0 = aten.call "aten.dropout.default"(%x) [#aten.value<0>, 0.5, true] : (tensor<8xf32>) -> tensor<8xf32>
  return %0 : tensor<8xf32>
}

// -----

func.func @training(%x: tensor<2x3xf32>, %m: tensor<3xf32>) -> tensor<2x3xf32> {
  // expected-error @+1 {{it is in training mode; call model.eval() before export}}
  %0 = aten.call "aten.batch_norm.default"(%x, %m, %m) [#aten.value<0>, #aten.none, #aten.none, #aten.value<1>, #aten.value<2>, true, 0.1, 1.0e-5, false]
      : (tensor<2x3xf32>, tensor<3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// -----

// The program's word on the result is checked.
func.func @wrong_shape(%x: tensor<4x8xf32>) -> tensor<4x9xf32> {
  // expected-error @+1 {{gives the shape [4, 8] where the program says [4, 9]}}
  %0 = aten.call "aten.tanh.default"(%x) [#aten.value<0>] : (tensor<4x8xf32>) -> tensor<4x9xf32>
  return %0 : tensor<4x9xf32>
}

// -----

func.func @wrong_rank(%x: tensor<8xf32>, %w: tensor<f32>) -> tensor<8xf32> {
  // expected-error @+1 {{expected an input of rank 1 or more and a weight of rank 1 or 2}}
  %0 = aten.call "aten.linear.default"(%x, %w) [#aten.value<0>, #aten.value<1>, #aten.none] : (tensor<8xf32>, tensor<f32>) -> tensor<8xf32>
  return %0 : tensor<8xf32>
}

// -----

func.func @wrong_dimension(%x: tensor<4x8xf32>) -> tensor<4xf32> {
  // expected-error @+1 {{dimension 5 is not in [-2, 2)}}
  %0 = aten.call "aten.sum.dim_IntList"(%x) [#aten.value<0>, [5], false, #aten.none] : (tensor<4x8xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----

// What comes of an argument that is not supported is listed with it.
// expected-error @+2 {{2 obstacles: operators, uses of operators, sizes or types that are not supported}}
// expected-note @+1 {{arguments of type tensor<4xcomplex<f32>> are not supported}}
func.func @complex(%x: tensor<4xcomplex<f32>>) -> tensor<4xcomplex<f32>> {
  // expected-note @+1 {{element type complex<f32> is not supported}}
  %0 = aten.call "aten.clone.default"(%x) [#aten.value<0>, #aten.none] : (tensor<4xcomplex<f32>>) -> tensor<4xcomplex<f32>>
  return %0 : tensor<4xcomplex<f32>>
}

// -----

// What nobody uses does not stand in the way.
func.func @dead(%x: tensor<8xf32>) -> tensor<8xf32> {
  %0 = aten.call "aten.lgamma.default"(%x) [#aten.value<0>] : (tensor<8xf32>) -> tensor<8xf32>
  return %x : tensor<8xf32>
}

// -----

func.func @side_unknown(%x: tensor<?xf32, #aten.layout<dims = ["s0"]>> {hr.name = "x", hr.dims = [#hr.size<"s0">]})
    -> (tensor<4xf32> {hr.name = "y", hr.dims = [#hr.size<"4">]}) attributes {hr.symbols = [#hr.symbol<"s0", 2, 64>]} {
  // expected-error @+1 {{start s0 - 8 can be negative or not, depending on the input's shape}}
  %0 = aten.call "aten.slice.Tensor"(%x) [#aten.value<0>, 0, #hr.size<"s0 - 8">, 9223372036854775807, 1] : (tensor<?xf32, #aten.layout<dims = ["s0"]>>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----

// A maximum of nothing has no value, whatever the sizes that are not reduced.
func.func @of_nothing(%x: tensor<3x0xf32>) -> tensor<3xi64> {
  // expected-error @+1 {{there are no elements to reduce}}
  %0 = aten.call "aten.argmax.default"(%x) [#aten.value<0>, 1, false] : (tensor<3x0xf32>) -> tensor<3xi64>
  return %0 : tensor<3xi64>
}

// -----

func.func @too_few(%x: tensor<3x2xf32>) -> tensor<3x4xf32> {
  // expected-error @+1 {{k is 4 but there are 2 elements}}
  %0, %1 = aten.call "aten.topk.default"(%x) [#aten.value<0>, 4, 1, true, true] : (tensor<3x2xf32>) -> (tensor<3x4xf32>, tensor<3x4xi64>)
  return %0 : tensor<3x4xf32>
}

// -----

func.func @norm_of_nothing(%x: tensor<0xf32>) -> tensor<f32> {
  // expected-error @+1 {{there are no elements to reduce}}
  %0 = aten.call "aten.linalg_vector_norm.default"(%x) [#aten.value<0>, 0x7FF0000000000000 : f64, #aten.none, false, #aten.none] : (tensor<0xf32>) -> tensor<f32>
  return %0 : tensor<f32>
}

// -----

func.func @negative_power(%x: tensor<2xi64>) -> tensor<2xi64> {
  // expected-error @+1 {{an integer to a negative power}}
  %0 = aten.call "aten.pow.Tensor_Scalar"(%x) [#aten.value<0>, -2] : (tensor<2xi64>) -> tensor<2xi64>
  return %0 : tensor<2xi64>
}
