// Buffers and arguments that are written to.
// RUN: headrace-opt %s --aten-functionalize --split-input-file | FileCheck %s

// An argument written to gives an extra result with its new value.
// CHECK-LABEL: func.func @argument
// CHECK-SAME: -> (tensor<4xf32>, tensor<4xf32> {{{.*}}hr.mutates = 0 : i64{{.*}}hr.name = "x"
func.func @argument(%x: tensor<4xf32> {hr.name = "x"}) -> tensor<4xf32> {
  // CHECK: %[[Y:.+]] = aten.call "aten.add.Tensor"(%arg0)
  %0 = aten.call "aten.add_.Tensor"(%x) [#aten.value<0>, 1, 1] : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK: %[[Z:.+]] = aten.call "aten.neg.default"(%[[Y]])
  %1 = aten.call "aten.neg.default"(%x) [#aten.value<0>] : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK: return %[[Z]], %[[Y]]
  return %1 : tensor<4xf32>
}

// -----

// A state that is read in place stays one; what another entry reads of it too.
// CHECK: hr.state @cache : tensor<4x8xf32>
hr.state @cache : tensor<4x8xf32>
// CHECK-LABEL: func.func @writes
func.func @writes(%x: tensor<8xf32>) -> tensor<4x8xf32> {
  // CHECK: %[[C:.+]] = hr.read_state [@cache]
  %c = hr.read_state [@cache] : tensor<4x8xf32>
  %r = aten.call "aten.select.int"(%c) [#aten.value<0>, 0, 2] : (tensor<4x8xf32>) -> tensor<8xf32>
  // CHECK: %[[U:.+]] = hr.update %[[C]] with %arg0 at [#hr.size<"2">, #hr.size<"0">]
  %w = aten.call "aten.copy_.default"(%r, %x) [#aten.value<0>, #aten.value<1>, false] : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
  // CHECK: hr.write_state %[[U]], [@cache]
  // CHECK: return %[[U]]
  return %c : tensor<4x8xf32>
}
