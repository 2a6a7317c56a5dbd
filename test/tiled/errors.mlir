// RUN: headrace-opt %s --split-input-file --pass-pipeline='builtin.module(hr-tile-stages)' --verify-diagnostics

func.func @entry(%x: tensor<10xf32> {hr.dims = [#hr.size<"10">], hr.name = "x"}) -> (tensor<10xf32> {hr.dims = [#hr.size<"10">], hr.name = "y"}) {
  // expected-error @+1 {{the stage has no plan}}
  %0 = hr.stage @s (%x) : (tensor<10xf32>) -> tensor<10xf32> {
  ^bb0(%a: tensor<10xf32>):
    hr.yield %a : tensor<10xf32>
  }
  return %0 : tensor<10xf32>
}

// -----

func.func @entry(%x: tensor<10xf32> {hr.dims = [#hr.size<"10">], hr.name = "x"}) -> (tensor<10xf32> {hr.dims = [#hr.size<"10">], hr.name = "y"}) {
  // expected-error @+1 {{the plan is for 3 classes and 0 nests but the stage has 1 and 1}}
  %0 = hr.stage @s (%x) {plan = #hr.plan<tile = [8, 0, 0], lanes = 4, stream = 128, nests = [], nanoseconds = 0, runner_up = "">} : (tensor<10xf32>) -> tensor<10xf32> {
  ^bb0(%a: tensor<10xf32>):
    %e = tensor.empty() : tensor<10xf32>
    %n = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]} ins(%a : tensor<10xf32>) outs(%e : tensor<10xf32>) {
    ^bb0(%p: f32, %o: f32):
      %q = arith.negf %p : f32
      linalg.yield %q : f32
    } -> tensor<10xf32>
    hr.yield %n : tensor<10xf32>
  }
  return %0 : tensor<10xf32>
}
