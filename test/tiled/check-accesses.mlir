// Before each access of a stage: is the element in the operand's footprint, or,
// where that is whole, in the operand?

// RUN: headrace-opt %s --pass-pipeline='builtin.module(hr-tile-stages{check-accesses})' | FileCheck %s

// CHECK: hr.sites = {{.*}}"stage 'scale' loads from operand 0"{{.*}}"outside the part that its schedule says", false{{.*}}"stage 'scale' stores to operand 1"
// CHECK-LABEL: func.func private @scale
// CHECK: scf.for %[[TILE:.*]] = %arg0 to %arg1
// The part of this tile: rows [tile * 16, tile * 16 + 16).
// CHECK: %[[LOW:.*]] = {{arith.muli|affine.apply}}{{.*}}%[[TILE]]
// CHECK: arith.remui
// CHECK: arith.cmpi sge
// CHECK: scf.if
// CHECK: call @hr_stage_error
// CHECK: memref.load
// CHECK: call @hr_stage_error
// CHECK: memref.store
#map = affine_map<(i, j) -> (i, j)>
func.func @main(%x: tensor<64x8xf32> {hr.name = "x", hr.dims = [#hr.size<"64">, #hr.size<"8">]})
    -> (tensor<64x8xf32> {hr.name = "y", hr.dims = [#hr.size<"64">, #hr.size<"8">]}) {
  %0 = hr.stage @scale(%x) {plan = #hr.plan<tile = [16, 0], lanes = 1, stream = 128, nests = [#hr.nest<vector = -1, vectors = 1, row = -1, rows = 1, block = 0>], nanoseconds = 0, runner_up = "">} : (tensor<64x8xf32>) -> tensor<64x8xf32> {
  ^bb0(%arg0: tensor<64x8xf32>):
    %e = tensor.empty() : tensor<64x8xf32>
    %1 = linalg.generic {indexing_maps = [#map, #map], iterator_types = ["parallel", "parallel"]} ins(%arg0 : tensor<64x8xf32>) outs(%e : tensor<64x8xf32>) {
    ^bb0(%a: f32, %b: f32):
      %s = arith.addf %a, %a : f32
      linalg.yield %s : f32
    } -> tensor<64x8xf32>
    hr.yield %1 : tensor<64x8xf32>
  }
  return %0 : tensor<64x8xf32>
}
