// RUN: not headrace-opt %s --hr-fill-weights --hr-widen-to-double -split-input-file 2>/dev/null | FileCheck %s
// RUN: not headrace-opt %s --hr-fill-weights --hr-widen-to-double -split-input-file 2>&1 | FileCheck %s --check-prefix=BITS

#map = affine_map<(d0) -> (d0)>
// CHECK: hr.weight @w : tensor<4xf64>
hr.weight @w : tensor<4xf32>
// CHECK: hr.state @s : tensor<4xf64>
hr.state @s : tensor<4xbf16>
// Arguments stay what they are; results are f64.
// CHECK: func.func @main(%[[X:.*]]: tensor<4xbf16> {{.*}}, %[[I:.*]]: tensor<4xi64> {{.*}}) -> (tensor<4xf64> {{.*}}, tensor<4xi64> {{.*}})
func.func @main(%x: tensor<4xbf16> {hr.name = "x", hr.dims = [#hr.size<"4">]}, %i: tensor<4xi64> {hr.name = "i", hr.dims = [#hr.size<"4">]})
    -> (tensor<4xf32> {hr.name = "y", hr.dims = [#hr.size<"4">]}, tensor<4xi64> {hr.name = "j", hr.dims = [#hr.size<"4">]})
    attributes {hr.symbols = []} {
  // CHECK: %[[WIDE:.*]] = linalg.generic {{.*}} ins(%[[X]] : tensor<4xbf16>)
  // CHECK: arith.extf %{{.*}} : bf16 to f64
  %w = hr.constant [@w] : tensor<4xf32>
  %e = tensor.empty() : tensor<4xf32>
  // Casts are gone, constants are wide.
  // CHECK: linalg.generic {{.*}} ins(%[[WIDE]], %{{.*}} : tensor<4xf64>, tensor<4xf64>)
  // CHECK-NOT: extf
  // CHECK: %[[C:.*]] = arith.constant 2.500000e-01 : f64
  // CHECK: arith.mulf %{{.*}}, %[[C]] : f64
  // CHECK-NOT: truncf
  %y = linalg.generic {indexing_maps = [#map, #map, #map], iterator_types = ["parallel"]}
      ins(%x, %w : tensor<4xbf16>, tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%a: bf16, %b: f32, %o: f32):
    %wide = arith.extf %a : bf16 to f32
    %c = arith.constant 0.25 : f32
    %m = arith.mulf %wide, %c : f32
    %s = arith.addf %m, %b : f32
    %n = arith.truncf %s : f32 to bf16
    %r = arith.extf %n : bf16 to f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  return %y, %i : tensor<4xf32>, tensor<4xi64>
}

// -----

#map = affine_map<(d0) -> (d0)>
func.func @main(%x: tensor<4xf32> {hr.name = "x", hr.dims = [#hr.size<"4">]}) -> (tensor<4xi32> {hr.name = "y", hr.dims = [#hr.size<"4">]})
    attributes {hr.symbols = []} {
  %e = tensor.empty() : tensor<4xi32>
  %y = linalg.generic {indexing_maps = [#map, #map], iterator_types = ["parallel"]} ins(%x : tensor<4xf32>) outs(%e : tensor<4xi32>) {
  ^bb0(%a: f32, %o: i32):
    // BITS: error: {{.*}}the bits of floats have no counterpart in f64
    %b = arith.bitcast %a : f32 to i32
    linalg.yield %b : i32
  } -> tensor<4xi32>
  return %y : tensor<4xi32>
}
