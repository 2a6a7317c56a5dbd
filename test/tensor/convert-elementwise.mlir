// Types, broadcasting and rounding of pointwise operators.
// RUN: headrace-opt %s --split-input-file --aten-convert-to-tensor --hr-verify-tensor | FileCheck %s

// A broadcast is a projected map; no loop for the dimension of size 1.
// CHECK-DAG: #[[ROW:.+]] = affine_map<(d0, d1) -> (d1)>
// CHECK-DAG: #[[ALL:.+]] = affine_map<(d0, d1) -> (d0, d1)>
// CHECK-LABEL: func.func @broadcast
// CHECK-SAME: %[[X:.+]]: tensor<1x4x8xf32>, %[[Y:.+]]: tensor<8xf32>
// CHECK: %[[A:.+]] = hr.reshape %[[X]] to [#hr.size<"4">, #hr.size<"8">]
// CHECK: linalg.generic {indexing_maps = [#[[ALL]], #[[ROW]], #[[ALL]]]
// CHECK-SAME: ins(%[[A]], %[[Y]]
// CHECK: arith.addf
func.func @broadcast(%x: tensor<1x4x8xf32>, %y: tensor<8xf32>) -> tensor<1x4x8xf32> {
  %0 = aten.call "aten.add.Tensor"(%x, %y) [#aten.value<0>, #aten.value<1>, 1] : (tensor<1x4x8xf32>, tensor<8xf32>) -> tensor<1x4x8xf32>
  return %0 : tensor<1x4x8xf32>
}

// -----

// 16-bit floats are computed in f32 and rounded once, at the end.
// CHECK-LABEL: func.func @one_rounding
// CHECK: arith.extf %{{.+}} : bf16 to f32
// CHECK: arith.extf %{{.+}} : bf16 to f32
// CHECK: %[[S:.+]] = arith.mulf %{{.+}}, %{{.+}} : f32
// CHECK: %[[T:.+]] = arith.addf %{{.+}}, %[[S]] : f32
// CHECK: arith.truncf %[[T]] : f32 to bf16
// CHECK-NOT: arith.truncf
func.func @one_rounding(%x: tensor<8xbf16>, %y: tensor<8xbf16>) -> tensor<8xbf16> {
  %0 = aten.call "aten.add.Tensor"(%x, %y) [#aten.value<0>, #aten.value<1>, 0.5] : (tensor<8xbf16>, tensor<8xbf16>) -> tensor<8xbf16>
  return %0 : tensor<8xbf16>
}

// -----

// An integer tensor and a float number give f32; a comparison of them is made
// in it.
// CHECK-LABEL: func.func @integer_meets_float
// CHECK: %[[F:.+]] = arith.sitofp %{{.+}} : i64 to f32
// CHECK: arith.cmpf ogt, %[[F]]
func.func @integer_meets_float(%x: tensor<8xi64>) -> tensor<8xi1> {
  %0 = aten.call "aten.gt.Scalar"(%x) [#aten.value<0>, 1.5] : (tensor<8xi64>) -> tensor<8xi1>
  return %0 : tensor<8xi1>
}

// -----

// A number does not widen a tensor, and neither does one of rank 0 within the
// category.
// CHECK-LABEL: func.func @narrow_integer_stays
// CHECK: linalg.generic
// CHECK: arith.trunci %{{.+}} : i64 to i32
// CHECK: arith.addi %{{.+}}, %{{.+}} : i32
func.func @narrow_integer_stays(%x: tensor<8xi32>, %y: tensor<i64>) -> tensor<8xi32> {
  %0 = aten.call "aten.add.Tensor"(%x, %y) [#aten.value<0>, #aten.value<1>, 1] : (tensor<8xi32>, tensor<i64>) -> tensor<8xi32>
  return %0 : tensor<8xi32>
}

// -----

// uint8 loses its sign in the type and keeps it in the operations and in the
// signature.
// CHECK-LABEL: func.func @unsigned
// CHECK-SAME: tensor<8xi8> {hr.unsigned}
// CHECK-SAME: -> (tensor<8xi8> {hr.unsigned})
// CHECK: arith.maxui
func.func @unsigned(%x: tensor<8xui8>, %y: tensor<8xui8>) -> tensor<8xui8> {
  %0 = aten.call "aten.maximum.default"(%x, %y) [#aten.value<0>, #aten.value<1>] : (tensor<8xui8>, tensor<8xui8>) -> tensor<8xui8>
  return %0 : tensor<8xui8>
}

// -----

// NaN comes through: maximumf, not maxnumf.
// CHECK-LABEL: func.func @relu
// CHECK: arith.maximumf
func.func @relu(%x: tensor<8xf32>) -> tensor<8xf32> {
  %0 = aten.call "aten.relu.default"(%x) [#aten.value<0>] : (tensor<8xf32>) -> tensor<8xf32>
  return %0 : tensor<8xf32>
}

// -----

// Division by an integer that may be zero does not trap: zero is an error of the
// call, and the least number by minus one wraps around.
// CHECK-LABEL: func.func @no_trap
// CHECK: %[[HOLDS:.+]] = arith.cmpi ne
// CHECK: %[[D:.+]] = hr.check %[[HOLDS]], %{{.+}} else %{{.+}} what "remainder" message "integer division by zero (ZeroDivisionError)" : i64
// CHECK: %[[SAFE:.+]] = arith.select %{{.+}}, %{{.+}}, %[[D]]
// CHECK: arith.remsi %{{.+}}, %[[SAFE]]
func.func @no_trap(%x: tensor<8xi64>, %y: tensor<8xi64>) -> tensor<8xi64> {
  %0 = aten.call "aten.remainder.Tensor"(%x, %y) [#aten.value<0>, #aten.value<1>] : (tensor<8xi64>, tensor<8xi64>) -> tensor<8xi64>
  return %0 : tensor<8xi64>
}

// -----

// A float that does not fit is never converted.
// CHECK-LABEL: func.func @float_to_integer
// CHECK: %[[FITS:.+]] = arith.cmpf olt
// CHECK: %[[SAFE:.+]] = arith.select %[[FITS]]
// CHECK: %[[INT:.+]] = arith.fptosi %[[SAFE]] : f32 to i64
// CHECK: arith.select %[[FITS]], %[[INT]]
func.func @float_to_integer(%x: tensor<8xf32>) -> tensor<8xi64> {
  %0 = aten.call "aten.to.dtype"(%x) [#aten.value<0>, i64, false, false, #aten.none] : (tensor<8xf32>) -> tensor<8xi64>
  return %0 : tensor<8xi64>
}

// -----

// A tensor of one value is a constant where it is used.
// CHECK-LABEL: func.func @splat
// CHECK: linalg.generic
// CHECK-SAME: ins(%{{[a-z0-9]+}} : tensor<8xf32>)
// CHECK: arith.mulf %{{.+}}, %{{cst.*}} : f32
func.func @splat(%x: tensor<8xf32>) -> tensor<8xf32> {
  %0 = aten.call "aten.full.default"() [[8], 2.5, #aten.none, #aten.none, #aten.none, #aten.none] : () -> tensor<8xf32>
  %1 = aten.call "aten.mul.Tensor"(%x, %0) [#aten.value<0>, #aten.value<1>] : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
  return %1 : tensor<8xf32>
}

// -----

// Dynamic extents are sizes of the entry's symbols.
// CHECK-LABEL: func.func @dynamic
// CHECK: %[[N:.+]] = hr.size <"s0">
// CHECK: tensor.empty(%[[N]]) : tensor<?x8xf32>
func.func @dynamic(%x: tensor<?x8xf32, #aten.layout<dims = ["s0", "8"]>> {hr.name = "x", hr.dims = [#hr.size<"s0">, #hr.size<"8">]})
    -> (tensor<?x8xf32, #aten.layout<dims = ["s0", "8"]>> {hr.name = "y", hr.dims = [#hr.size<"s0">, #hr.size<"8">]})
    attributes {hr.symbols = [#hr.symbol<"s0", 2, 64>]} {
  %0 = aten.call "aten.tanh.default"(%x) [#aten.value<0>] : (tensor<?x8xf32, #aten.layout<dims = ["s0", "8"]>>) -> tensor<?x8xf32, #aten.layout<dims = ["s0", "8"]>>
  return %0 : tensor<?x8xf32, #aten.layout<dims = ["s0", "8"]>>
}
