# SPDX-License-Identifier: Apache-2.0
#
# The rows of the packet tables, mutated, through the data plane.
add_executable(packet_fuzz packet_fuzz.cpp packet_mutate.cpp packet_invariants.cpp
                           $<TARGET_OBJECTS:packet_rows>)
target_link_libraries(packet_fuzz PRIVATE sluice_packet_bench CLI11::CLI11 GTest::gtest)
target_include_directories(packet_fuzz PRIVATE ${CMAKE_SOURCE_DIR})
sluice_compile_flags(packet_fuzz)
target_compile_definitions(packet_fuzz PRIVATE SLUICE_FUZZ_OUT="${CMAKE_CURRENT_BINARY_DIR}")

function(sluice_packet_fuzz name iterations seed labels timeout)
    add_test(NAME ${name} COMMAND packet_fuzz --iterations ${iterations} --seed ${seed}
             WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
    set_tests_properties(${name} PROPERTIES LABELS "${labels}" SKIP_RETURN_CODE 77
                         RESOURCE_LOCK kernel TIMEOUT ${timeout})
endfunction()

sluice_packet_fuzz(fuzz_packet 50000 1 "fuzz" 300)
sluice_packet_fuzz(fuzz_packet_long 2000000 2 "fuzz;long" 3600)
