// Weights that are rounded to a narrow type before they multiply the values: the
// op says so. What it computes differs by the roundings, so this is not compared.

// RUN: headrace-opt %s --hr-form-softmax-sum | FileCheck %s

// CHECK-LABEL: func.func @rounded
// CHECK: hr.softmax_sum %arg0, %arg1 {{.+}} weights bf16 : tensor<3x5xbf16>, tensor<5x4xbf16> -> tensor<3x4xf32>
// CHECK-NOT: arith.truncf
func.func @rounded(%e: tensor<3x5xbf16> {hr.name = "e", hr.dims = [#hr.size<"3">, #hr.size<"5">]},
    %v: tensor<5x4xbf16> {hr.name = "v", hr.dims = [#hr.size<"5">, #hr.size<"4">]})
    -> (tensor<3x4xf32> {hr.name = "y", hr.dims = [#hr.size<"3">, #hr.size<"4">]}) {
  %e_3x5xf32 = tensor.empty() : tensor<3x5xf32>
  %e_3x5xbf16 = tensor.empty() : tensor<3x5xbf16>
  %e_3x4xf32 = tensor.empty() : tensor<3x4xf32>
  %e_3xf32 = tensor.empty() : tensor<3xf32>
  %zero = arith.constant 0.0 : f32
  %low = arith.constant 0xFF800000 : f32
  %f0 = linalg.fill ins(%zero : f32) outs(%e_3xf32 : tensor<3xf32>) -> tensor<3xf32>
  %fm = linalg.fill ins(%low : f32) outs(%e_3xf32 : tensor<3xf32>) -> tensor<3xf32>
  %fy = linalg.fill ins(%zero : f32) outs(%e_3x4xf32 : tensor<3x4xf32>) -> tensor<3x4xf32>
  %w = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%e : tensor<3x5xbf16>) outs(%e_3x5xf32 : tensor<3x5xf32>) {
  ^bb0(%a0: bf16, %o: f32):
    %r = arith.extf %a0 : bf16 to f32
    linalg.yield %r : f32
  } -> tensor<3x5xf32>
  %m = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]}
      ins(%w : tensor<3x5xf32>) outs(%fm : tensor<3xf32>) {
  ^bb0(%a0: f32, %o: f32):
    %r = arith.maximumf %o, %a0 : f32
    linalg.yield %r : f32
  } -> tensor<3xf32>
  %x = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%w, %m : tensor<3x5xf32>, tensor<3xf32>) outs(%e_3x5xf32 : tensor<3x5xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %d = arith.subf %a0, %a1 : f32
    %r = math.exp %d : f32
    linalg.yield %r : f32
  } -> tensor<3x5xf32>
  %l = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<3x5xf32>) outs(%f0 : tensor<3xf32>) {
  ^bb0(%a0: f32, %o: f32):
    %r = arith.addf %o, %a0 : f32
    linalg.yield %r : f32
  } -> tensor<3xf32>
  %p = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%x, %l : tensor<3x5xf32>, tensor<3xf32>) outs(%e_3x5xf32 : tensor<3x5xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %r = arith.divf %a0, %a1 : f32
    linalg.yield %r : f32
  } -> tensor<3x5xf32>
  %n = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%p : tensor<3x5xf32>) outs(%e_3x5xbf16 : tensor<3x5xbf16>) {
  ^bb0(%a0: f32, %o: bf16):
    %r = arith.truncf %a0 : f32 to bf16
    linalg.yield %r : bf16
  } -> tensor<3x5xbf16>
  %y = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d2)>, affine_map<(d0, d1, d2) -> (d2, d1)>, affine_map<(d0, d1, d2) -> (d0, d1)>],
      iterator_types = ["parallel", "parallel", "reduction"]} ins(%n, %v : tensor<3x5xbf16>, tensor<5x4xbf16>) outs(%fy : tensor<3x4xf32>) {
  ^bb0(%a0: bf16, %a1: bf16, %o: f32):
    %a = arith.extf %a0 : bf16 to f32
    %b = arith.extf %a1 : bf16 to f32
    %product = arith.mulf %a, %b : f32
    %r = arith.addf %o, %product : f32
    linalg.yield %r : f32
  } -> tensor<3x4xf32>
  return %y : tensor<3x4xf32>
}
