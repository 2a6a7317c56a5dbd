// RUN: headrace-opt %s --split-input-file --pass-pipeline='builtin.module(aten-convert-to-tensor)' | FileCheck %s

// What an entry that writes state is given as indices is checked before it runs,
// once for all that use it alike.

// CHECK-LABEL: func.func @step
// CHECK-SAME: hr.checks = [{bound = #hr.size<"4">, covers = {{\[\[}}"index_copy", "{{.+}}", "index", true], ["index_copy", "{{.+}}", "index", true]], input = 1 : i64, site = ["index_copy", "{{.+}}", "index", true], wrap = false}]
hr.state @cache : tensor<4x8xf32>
hr.state @other : tensor<4x8xf32>
func.func @step(%x: tensor<2x8xf32> {hr.name = "x", hr.dims = [#hr.size<"2">, #hr.size<"8">]},
                %i: tensor<2xi64> {hr.name = "i", hr.dims = [#hr.size<"2">]}) {
  %c = hr.read_state [@cache] : tensor<4x8xf32>
  %d = hr.read_state [@other] : tensor<4x8xf32>
  %0 = aten.call "aten.index_copy.default"(%c, %i, %x) [#aten.value<0>, 0, #aten.value<1>, #aten.value<2>] : (tensor<4x8xf32>, tensor<2xi64>, tensor<2x8xf32>) -> tensor<4x8xf32>
  %1 = aten.call "aten.index_copy.default"(%d, %i, %x) [#aten.value<0>, 0, #aten.value<1>, #aten.value<2>] : (tensor<4x8xf32>, tensor<2xi64>, tensor<2x8xf32>) -> tensor<4x8xf32>
  hr.write_state %0, [@cache] : tensor<4x8xf32>
  hr.write_state %1, [@other] : tensor<4x8xf32>
  return
}

// -----

// Near miss: the elements that are not used may be anything.

// CHECK-LABEL: func.func @part
// CHECK-NOT: hr.checks
hr.state @cache : tensor<4x8xf32>
func.func @part(%x: tensor<2x8xf32> {hr.name = "x", hr.dims = [#hr.size<"2">, #hr.size<"8">]},
                %i: tensor<3xi64> {hr.name = "i", hr.dims = [#hr.size<"3">]}) {
  %c = hr.read_state [@cache] : tensor<4x8xf32>
  %j = aten.call "aten.slice.Tensor"(%i) [#aten.value<0>, 0, 0, 2, 1] : (tensor<3xi64>) -> tensor<2xi64>
  %0 = aten.call "aten.index_copy.default"(%c, %j, %x) [#aten.value<0>, 0, #aten.value<1>, #aten.value<2>] : (tensor<4x8xf32>, tensor<2xi64>, tensor<2x8xf32>) -> tensor<4x8xf32>
  hr.write_state %0, [@cache] : tensor<4x8xf32>
  return
}

// -----

// Without state there is nothing to keep: stages check.

// CHECK-LABEL: func.func @stateless
// CHECK-NOT: hr.checks
func.func @stateless(%x: tensor<4x8xf32> {hr.name = "x", hr.dims = [#hr.size<"4">, #hr.size<"8">]},
                     %i: tensor<2xi64> {hr.name = "i", hr.dims = [#hr.size<"2">]})
    -> (tensor<2x8xf32> {hr.name = "y", hr.dims = [#hr.size<"2">, #hr.size<"8">]}) {
  %0 = aten.call "aten.index_select.default"(%x, %i) [#aten.value<0>, 0, #aten.value<1>] : (tensor<4x8xf32>, tensor<2xi64>) -> tensor<2x8xf32>
  return %0 : tensor<2x8xf32>
}
