// What the verifiers of the dialect refuse.
// RUN: headrace-opt %s --split-input-file --verify-diagnostics

func.func @unknown(%x: tensor<4xf32>) {
  // expected-error @+1 {{no schema is named 'aten.no_such_op.default'}}
  %0 = aten.call "aten.no_such_op.default"(%x) [#aten.value<0>] : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @too_few_args(%x: tensor<4xf32>) {
  // expected-error @+1 {{expected 3 args for 'aten.add.Tensor' but got 2}}
  %0 = aten.call "aten.add.Tensor"(%x, %x) [#aten.value<0>, #aten.value<1>] : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @wrong_kind(%x: tensor<4xf32>) {
  // expected-error @+1 {{argument 'dim' of 'aten.softmax.int' expects int but got "last"}}
  %0 = aten.call "aten.softmax.int"(%x) [#aten.value<0>, "last", #aten.none] : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @none_where_required(%x: tensor<4xf32>) {
  // expected-error @+1 {{argument 'dim' of 'aten.softmax.int' expects int but got #aten.none}}
  %0 = aten.call "aten.softmax.int"(%x) [#aten.value<0>, #aten.none, #aten.none] : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @operand_out_of_order(%x: tensor<4xf32>) {
  // expected-error @+1 {{expected operand 0 to be named next but got 1}}
  %0 = aten.call "aten.add.Tensor"(%x, %x) [#aten.value<1>, #aten.value<0>, 1] : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @operand_unnamed(%x: tensor<4xf32>) {
  // expected-error @+1 {{args name 1 of 2 operands}}
  %0 = aten.call "aten.relu.default"(%x, %x) [#aten.value<0>] : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @wrong_number_of_results(%x: tensor<4xf32>) {
  // expected-error @+1 {{expected 2 results for 'aten.topk.default' but got 1}}
  %0 = aten.call "aten.topk.default"(%x) [#aten.value<0>, 2, -1, true, true] : (tensor<4xf32>) -> tensor<2xf32>
  return
}

// -----

func.func @result_no_tensor(%x: tensor<4xf32>) {
  // expected-error @+1 {{expected result 0 to be a tensor but got 'index'}}
  %0 = aten.call "aten.relu.default"(%x) [#aten.value<0>] : (tensor<4xf32>) -> index
  return
}

// -----

// expected-error @+1 {{expected 2 strides but got 1}}
func.func @strides(%x: tensor<4x4xf32, #aten.layout<dims = ["4", "4"], strides = ["1"]>>) {
  return
}

// -----

// expected-error @+1 {{size 's0 +': expected an operand at column 5}}
func.func @size_text(%x: tensor<?xf32, #aten.layout<dims = ["s0 +"]>>) {
  return
}
