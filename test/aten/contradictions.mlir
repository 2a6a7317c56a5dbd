// What a call declares is compared with what its operator makes of its
// arguments, for all sizes within the ranges.
// RUN: headrace-opt %s --aten-functionalize --split-input-file --verify-diagnostics

#d = #aten.layout<dims = ["s", "6"]>
#t = #aten.layout<dims = ["2 * s", "3"]>
func.func @view(%x: tensor<?x6xf32, #d>) -> tensor<?x3xf32, #t>
    attributes {hr.symbols = [#hr.symbol<"s", 2, 64>]} {
  %0 = aten.call "aten.view.default"(%x) [#aten.value<0>, [-1, 3]] : (tensor<?x6xf32, #d>) -> tensor<?x3xf32, #t>
  return %0 : tensor<?x3xf32, #t>
}

// -----

// Never as many elements: s is 2 at least.
#d = #aten.layout<dims = ["s", "6"]>
#t = #aten.layout<dims = ["s", "3"]>
func.func @view(%x: tensor<?x6xf32, #d>) -> tensor<?x3xf32, #t>
    attributes {hr.symbols = [#hr.symbol<"s", 2, 64>]} {
  // expected-error @+1 {{'aten.view.default' contradicts itself: a tensor of shape [s, 6] is viewed as [s, 3], another number of elements: 3 * s is not 6 * s}}
  %0 = aten.call "aten.view.default"(%x) [#aten.value<0>, [-1, 3]] : (tensor<?x6xf32, #d>) -> tensor<?x3xf32, #t>
  return %0 : tensor<?x3xf32, #t>
}

// -----

// At s = 4 it is: what torch's guards ensure.
#d = #aten.layout<dims = ["s", "6"]>
func.func @guarded(%x: tensor<?x6xf32, #d>) -> tensor<8x3xf32>
    attributes {hr.symbols = [#hr.symbol<"s", 2, 64>]} {
  %0 = aten.call "aten.view.default"(%x) [#aten.value<0>, [8, 3]] : (tensor<?x6xf32, #d>) -> tensor<8x3xf32>
  return %0 : tensor<8x3xf32>
}

// -----

#d = #aten.layout<dims = ["s", "6"]>
func.func @slice(%x: tensor<?x6xf32, #d>) -> tensor<9x6xf32>
    attributes {hr.symbols = [#hr.symbol<"s", 2, 8>]} {
  // expected-error @+1 {{'aten.slice.Tensor' contradicts itself: the result is declared as [9, 6] but the arguments give [s, 6]}}
  %0 = aten.call "aten.slice.Tensor"(%x) [#aten.value<0>, 0, 0, 9223372036854775807, 1] : (tensor<?x6xf32, #d>) -> tensor<9x6xf32>
  return %0 : tensor<9x6xf32>
}

// -----

// Of size 1, a dimension is broadcast; of another it has to be the same.
func.func @broadcast(%x: tensor<1x4xf32>, %y: tensor<3x1xf32>) -> tensor<3x4xi1> {
  %0 = aten.call "aten.lt.Tensor"(%x, %y) [#aten.value<0>, #aten.value<1>] : (tensor<1x4xf32>, tensor<3x1xf32>) -> tensor<3x4xi1>
  return %0 : tensor<3x4xi1>
}

// -----

func.func @in_place(%x: tensor<4xf32>, %y: tensor<3x1xf32>) -> tensor<4xf32> {
  // expected-error @+1 {{'aten.add_.Tensor' contradicts itself: the result is declared as [4] but the arguments give [3, 4]}}
  %0 = aten.call "aten.add_.Tensor"(%x, %y) [#aten.value<0>, #aten.value<1>, 1] : (tensor<4xf32>, tensor<3x1xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----

func.func @results(%x: tensor<6xf32>) -> tensor<2xf32> {
  // expected-error @+1 {{'aten.split.Tensor' contradicts itself: 2 results do not hold all: the last: 4 is more than 2}}
  %0:2 = aten.call "aten.split.Tensor"(%x) [#aten.value<0>, 2, 0] : (tensor<6xf32>) -> (tensor<2xf32>, tensor<2xf32>)
  return %0#0 : tensor<2xf32>
}

// -----

func.func @type(%x: tensor<6xf32>, %i: tensor<6xi64>) -> tensor<6xi64> {
  // expected-error @+1 {{'aten.mul.Tensor' contradicts itself: the result is declared with elements of type i64 but the arguments give f32}}
  %0 = aten.call "aten.mul.Tensor"(%x, %i) [#aten.value<0>, #aten.value<1>] : (tensor<6xf32>, tensor<6xi64>) -> tensor<6xi64>
  return %0 : tensor<6xi64>
}
